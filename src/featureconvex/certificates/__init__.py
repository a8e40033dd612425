"""Certificates: an affine minorant, a domain and a threat model."""

from featureconvex.certificates.attacks import AttackResult, attack
from featureconvex.certificates.certificate import Certificate, Guarantee, Status
from featureconvex.certificates.certify import certify
from featureconvex.certificates.domain import Box, Domain, Unbounded
from featureconvex.certificates.drops import Curves
from featureconvex.certificates.levels import LEVELS, Level
from featureconvex.certificates.minorant import Minorant, tangent
from featureconvex.certificates.multi_class import ClassCertificate, certify_classes
from featureconvex.certificates.threats import (
    L0,
    Append,
    Change,
    Edits,
    Insert,
    Lp,
    Patch,
    Slack,
    Threat,
    parse_threat,
)

__all__ = [
    "L0",
    "LEVELS",
    "Append",
    "AttackResult",
    "Box",
    "Certificate",
    "Change",
    "ClassCertificate",
    "Curves",
    "Domain",
    "Edits",
    "Guarantee",
    "Insert",
    "Level",
    "Lp",
    "Minorant",
    "Patch",
    "Slack",
    "Status",
    "Threat",
    "Unbounded",
    "attack",
    "certify",
    "certify_classes",
    "parse_threat",
    "tangent",
]
