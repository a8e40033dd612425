"""Every other way to certify, beside the model, on the same points."""

from featureconvex.baselines.compare import CompareSettings, MethodFailedWarning, compare
from featureconvex.baselines.data import comparison_data
from featureconvex.baselines.method import Method, Options, Radii, Setting
from featureconvex.baselines.registry import METHODS, find_methods, register_method

__all__ = [
    "METHODS",
    "CompareSettings",
    "Method",
    "MethodFailedWarning",
    "Options",
    "Radii",
    "Setting",
    "compare",
    "comparison_data",
    "find_methods",
    "register_method",
]
