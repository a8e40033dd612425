"""Certify a user's own inputs with a stored model, of any number, in bounded memory."""

from featureconvex.experiment.certifying.certify_files import certify_files
from featureconvex.experiment.certifying.slack_of_files import certify_slack
from featureconvex.experiment.certifying.summary import Summary

__all__ = ["Summary", "certify_files", "certify_slack"]
