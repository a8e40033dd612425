"""Attacks: upper bounds on radii, from points that really flip the decision."""

from featureconvex.certificates.attacks.attack import attack
from featureconvex.certificates.attacks.result import AttackResult

__all__ = ["AttackResult", "attack"]
