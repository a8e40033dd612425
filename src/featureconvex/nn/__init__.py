"""Networks that are convex in their input by construction, and the calculus that proves it."""

from featureconvex.nn.activations import Softplus
from featureconvex.nn.convexity import Curvature, curvature, prove_convex, rule
from featureconvex.nn.convnet import ConvexBlock, ConvexConvNet
from featureconvex.nn.max_affine import MaxAffine
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
    "ConvexBlock",
    "ConvexConvNet",
    "ConvexMLP",
    "Curvature",
    "MaxAffine",
    "MonotoneBatchNorm1d",
    "MonotoneBatchNorm2d",
    "NonNegative",
    "NonNegativeConv2d",
    "NonNegativeLinear",
    "Softplus",
    "curvature",
    "project_",
    "prove_convex",
    "rule",
]
