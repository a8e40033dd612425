"""Learned maps whose Lipschitz constant is at most 1 by construction, and what goes between them."""

from featureconvex.features.nonexpansive.distance import Distances
from featureconvex.features.nonexpansive.linear import NonexpansiveLinear
from featureconvex.features.nonexpansive.reshaping import Flatten
from featureconvex.features.nonexpansive.residual import NonexpansiveResidual
from featureconvex.features.nonexpansive.sorting import MaxMin

__all__ = ["Distances", "Flatten", "MaxMin", "NonexpansiveLinear", "NonexpansiveResidual"]
