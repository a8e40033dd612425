"""Every way to certify, beside the model, on the same test points."""

from featureconvex.comparison.data import comparison_data
from featureconvex.comparison.run import CompareSettings, MethodFailedWarning, compare

__all__ = ["CompareSettings", "MethodFailedWarning", "compare", "comparison_data"]
