"""Feature maps, each with its Lipschitz constant for every p in [1, inf]."""

from featureconvex.features.absolute import AbsConcat
from featureconvex.features.affine import Center, Identity, Scale, standardise
from featureconvex.features.base import FeatureMap
from featureconvex.features.compose import Compose
from featureconvex.features.elementwise import Elementwise
from featureconvex.features.kinked_form import Around, KinkedForm
from featureconvex.features.logarithm import Log1p
from featureconvex.features.monotone import MonotoneLinear, ThreeWays
from featureconvex.features.nonexpansive import (
    AveragePool,
    Distances,
    Flatten,
    Fold,
    MaxMin,
    MaxPool,
    NonexpansiveConv,
    NonexpansiveLinear,
    NonexpansiveResidual,
    NonexpansiveResidualConv,
)
from featureconvex.features.scattering import Scattering
from featureconvex.features.select import Select
from featureconvex.features.stretches import Stretch

__all__ = [
    "AbsConcat",
    "Around",
    "AveragePool",
    "Center",
    "Compose",
    "Distances",
    "Elementwise",
    "FeatureMap",
    "Flatten",
    "Fold",
    "Identity",
    "KinkedForm",
    "Log1p",
    "MaxMin",
    "MaxPool",
    "MonotoneLinear",
    "NonexpansiveConv",
    "NonexpansiveLinear",
    "NonexpansiveResidual",
    "NonexpansiveResidualConv",
    "Scale",
    "Scattering",
    "Select",
    "Stretch",
    "ThreeWays",
    "standardise",
]
