"""Experiments: a task and a recipe become a model, rows and a report."""

from featureconvex.experiment.certifying import certify_files, certify_slack
from featureconvex.experiment.run import Settings, run
from featureconvex.experiment.tradeoff import tradeoff

__all__ = ["Settings", "certify_files", "certify_slack", "run", "tradeoff"]
