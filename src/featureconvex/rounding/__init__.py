"""Arithmetic with proved rounding errors: directed bounds, balls, and networks as steps of them."""

from featureconvex.rounding.ball import Ball
from featureconvex.rounding.graph import Graph

__all__ = ["Ball", "Graph"]
