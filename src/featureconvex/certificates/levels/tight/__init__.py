"""Level 2: the best affine minorant for each input, not just the tangent at it."""

from featureconvex.certificates.levels.tight.level import Proof, tight, tight_and_proof, tight_proof
from featureconvex.certificates.levels.tight.solve import Bracket, Mixture, bracket

__all__ = ["Bracket", "Mixture", "Proof", "bracket", "tight", "tight_and_proof", "tight_proof"]
