"""Level 2: the best affine minorant for each input, not just the tangent at it."""

from featureconvex.certificates.levels.tight.level import Tight
from featureconvex.certificates.levels.tight.solve import Bracket, Mixture, bracket

__all__ = ["Bracket", "Mixture", "Tight", "bracket"]
