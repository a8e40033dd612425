"""Networks that are convex in their input by construction, and the calculus that proves it."""

from featureconvex.nn import torch_modules
from featureconvex.nn.activations import Softplus
from featureconvex.nn.card import Card, card
from featureconvex.nn.composite import Composite, Wires
from featureconvex.nn.convexity import curvature, prove_convex
from featureconvex.nn.convnet import ConvexBlock, ConvexConvNet
from featureconvex.nn.curvature import Curvature
from featureconvex.nn.elementwise import ElementwiseCard
from featureconvex.nn.max_affine import MaxAffine
from featureconvex.nn.minorants import Minorants
from featureconvex.nn.mlp import ConvexMLP
from featureconvex.nn.nonnegative import (
    MonotoneBatchNorm1d,
    MonotoneBatchNorm2d,
    NonNegative,
    NonNegativeConv2d,
    NonNegativeLinear,
    project_,
)

__all__ = [
    "Card",
    "Composite",
    "ConvexBlock",
    "ConvexConvNet",
    "ConvexMLP",
    "Curvature",
    "ElementwiseCard",
    "MaxAffine",
    "Minorants",
    "MonotoneBatchNorm1d",
    "MonotoneBatchNorm2d",
    "NonNegative",
    "NonNegativeConv2d",
    "NonNegativeLinear",
    "Softplus",
    "Wires",
    "card",
    "curvature",
    "project_",
    "prove_convex",
    "torch_modules",
]
