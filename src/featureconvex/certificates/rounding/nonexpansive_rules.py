"""Which steps learned nonexpansive maps consist of."""

from featureconvex.certificates.rounding.rules import rule
from featureconvex.features.nonexpansive import (
    Distances,
    Flatten,
    MaxMin,
    NonexpansiveLinear,
    NonexpansiveResidual,
)
from featureconvex.rounding.graph import Graph
from featureconvex.rounding.nonexpansive import Residual, SortPairs, to_points
from featureconvex.rounding.operators import Dense
from featureconvex.rounding.steps import Affine, Reshape, Translation


@rule(Flatten)
def _flatten(_: Flatten, graph: Graph, node: int) -> int:
    return graph.apply(Reshape(1, (-1,)), node)


@rule(NonexpansiveLinear)
def _linear(phi: NonexpansiveLinear, graph: Graph, node: int) -> int:
    weight = phi.linear.weight.detach().double()
    if not phi.config()["bias"]:
        return graph.apply(Affine(Dense(weight)), node)
    bias = phi.linear.bias.detach().double()
    return graph.apply(Affine(Dense(weight), bias, bias.abs()), node)


@rule(MaxMin)
def _sorted(_: MaxMin, graph: Graph, node: int) -> int:
    return graph.apply(SortPairs(), node)


@rule(Distances)
def _distances(phi: Distances, graph: Graph, node: int) -> int:
    node = graph.apply(to_points(phi.weight.detach().double(), phi.p), node)
    return graph.apply(Translation(-phi.mean.detach().double()), node)


@rule(NonexpansiveResidual)
def _residual(phi: NonexpansiveResidual, graph: Graph, node: int) -> int:
    weight, bias = phi.linear.weight.detach().double(), phi.linear.bias.detach().double()
    return graph.apply(Residual.of(weight, bias, phi.lipschitz(2.0)), node)
