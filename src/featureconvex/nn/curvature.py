"""What can be proved about the shape of a function: affine or convex, and whether it is nondecreasing."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Curvature:
    """What is proved about a module: every output is convex in the input, and perhaps more."""

    affine: bool
    nondecreasing: bool

    def after(self, inner: "Curvature") -> "Curvature | None":
        """The curvature of ``self o inner``, or None where nothing is proved.

        convex o affine is convex; (convex, nondecreasing) o convex is convex (Boyd and
        Vandenberghe, Convex Optimization, section 3.2.4).
        """
        if not inner.affine and not self.nondecreasing:
            return None
        return Curvature(self.affine and inner.affine, self.nondecreasing and inner.nondecreasing)

    def plus(self, other: "Curvature") -> "Curvature":
        """The curvature of a sum."""
        return Curvature(self.affine and other.affine, self.nondecreasing and other.nondecreasing)


AFFINE = Curvature(affine=True, nondecreasing=False)
MONOTONE_AFFINE = Curvature(affine=True, nondecreasing=True)
CONVEX = Curvature(affine=False, nondecreasing=False)
MONOTONE_CONVEX = Curvature(affine=False, nondecreasing=True)
