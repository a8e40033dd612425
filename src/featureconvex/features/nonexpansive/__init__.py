"""Learned maps whose Lipschitz constant is at most 1 by construction, and what goes between them."""

from featureconvex.features.nonexpansive.average_pool import AveragePool
from featureconvex.features.nonexpansive.convolution import NonexpansiveConv
from featureconvex.features.nonexpansive.distance import Distances
from featureconvex.features.nonexpansive.folding import Fold
from featureconvex.features.nonexpansive.linear import NonexpansiveLinear
from featureconvex.features.nonexpansive.max_pool import MaxPool
from featureconvex.features.nonexpansive.reshaping import Flatten
from featureconvex.features.nonexpansive.residual import NonexpansiveResidual
from featureconvex.features.nonexpansive.residual_conv import NonexpansiveResidualConv
from featureconvex.features.nonexpansive.sorting import MaxMin

__all__ = [
    "AveragePool",
    "Distances",
    "Flatten",
    "Fold",
    "MaxMin",
    "MaxPool",
    "NonexpansiveConv",
    "NonexpansiveLinear",
    "NonexpansiveResidual",
    "NonexpansiveResidualConv",
]
