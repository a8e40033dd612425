"""Feature maps, each with its Lipschitz constant for every p in [1, inf]."""

from featureconvex.features.absolute import AbsConcat
from featureconvex.features.affine import Center, Identity, Scale, standardise
from featureconvex.features.base import FeatureMap
from featureconvex.features.compose import Compose
from featureconvex.features.elementwise import Elementwise
from featureconvex.features.kinked_form import Around, KinkedForm
from featureconvex.features.nonexpansive import (
    Distances,
    Flatten,
    MaxMin,
    NonexpansiveLinear,
    NonexpansiveResidual,
)
from featureconvex.features.scattering import Scattering

__all__ = [
    "AbsConcat",
    "Around",
    "Center",
    "Compose",
    "Distances",
    "Elementwise",
    "FeatureMap",
    "Flatten",
    "Identity",
    "KinkedForm",
    "MaxMin",
    "NonexpansiveLinear",
    "NonexpansiveResidual",
    "Scale",
    "Scattering",
    "standardise",
]
