"""Experiments: a task and a recipe become a model, rows and a report."""

from featureconvex.experiment.certifying import certify_files, certify_slack
from featureconvex.experiment.run import run
from featureconvex.experiment.settings import Settings
from featureconvex.experiment.tradeoff import tradeoff

__all__ = ["Settings", "certify_files", "certify_slack", "run", "tradeoff"]
