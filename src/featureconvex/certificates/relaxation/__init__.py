"""Convex networks with their nonlinear parts replaced by affine minorants of free slope."""

from featureconvex.certificates.relaxation.network import Relaxation

__all__ = ["Relaxation"]
