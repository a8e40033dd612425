"""Convex networks with their nonlinear parts replaced by affine minorants of free slope."""

from featureconvex.certificates.relaxation.network import Relaxation
from featureconvex.certificates.relaxation.pieces import Piece, piece

__all__ = ["Piece", "Relaxation", "piece"]
