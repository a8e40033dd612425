"""Rounding errors, bounded: the engine of level ``sound``."""

from featureconvex.certificates.rounding.ball import Ball
from featureconvex.certificates.rounding.graph import Graph
from featureconvex.certificates.rounding.line import ARITHMETICS, SoundLine, sound_line
from featureconvex.certificates.rounding.rules import rule, trace

__all__ = ["ARITHMETICS", "Ball", "Graph", "SoundLine", "rule", "sound_line", "trace"]
