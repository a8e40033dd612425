"""Threat models: what the attacker's budget measures, one small class each."""

from featureconvex.certificates.threats.base import Threat
from featureconvex.certificates.threats.edits import Edits
from featureconvex.certificates.threats.files import Append, Change, FileThreat, Insert, Slack
from featureconvex.certificates.threats.l0 import L0
from featureconvex.certificates.threats.lp import Lp
from featureconvex.certificates.threats.named import parse_threat
from featureconvex.certificates.threats.patch import Patch

__all__ = [
    "L0",
    "Append",
    "Change",
    "Edits",
    "FileThreat",
    "Insert",
    "Lp",
    "Patch",
    "Slack",
    "Threat",
    "parse_threat",
]
