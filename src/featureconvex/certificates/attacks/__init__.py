"""Attacks: upper bounds on radii, from points that really flip the decision."""

from featureconvex.certificates.attacks.result import AttackResult
from featureconvex.certificates.attacks.search import attack

__all__ = ["AttackResult", "attack"]
