"""A small model, and its radii at every level."""

import functools
import math
from typing import Any

import numpy as np
import torch
from torch import nn

import featureconvex as fc
from featureconvex import FeatureConvexModel
from featureconvex.features import (
    AbsConcat,
    Center,
    Compose,
)
from featureconvex.nn import (
    ConvexMLP,
)

LEVELS = ("closed-form", "domain", "tight", "sound")
X = torch.randn(16, 3, generator=torch.Generator().manual_seed(5))
THREATS = [fc.Lp(1), fc.Lp(2), fc.Lp(math.inf)]


def small(activation: str | nn.Module = "relu", **options: Any) -> FeatureConvexModel:
    torch.manual_seed(1)
    net = ConvexMLP(6, (8, 8), activation=activation, **options)
    return FeatureConvexModel(Compose(Center(0.1), AbsConcat()), net, tau=1.0).eval()


def radii(model: FeatureConvexModel, x: Any = X, level: str = "domain") -> list[np.ndarray]:
    domain = None if level == "closed-form" else fc.Box(-6, 6)
    # The tight level costs as much for four rows as the others for a thousand.
    few = level == "tight"
    chosen = fc.levels.Tight(iterations=3) if few else level
    return [c.radius for c in fc.certify(model, x[:4] if few else x, THREATS, domain, chosen)]


@functools.cache
def radii_of_small(level: str) -> list[np.ndarray]:
    return radii(small(), level=level)


def equal(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return all(map(np.array_equal, a, b))
