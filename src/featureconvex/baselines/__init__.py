"""The methods of the comparison: one interface, one room per family."""

from featureconvex.baselines.method import CertifiedMethod, Method, Options, Radii, Setting
from featureconvex.baselines.registry import METHODS, find_methods, register_method

__all__ = [
    "METHODS",
    "CertifiedMethod",
    "Method",
    "Options",
    "Radii",
    "Setting",
    "find_methods",
    "register_method",
]
