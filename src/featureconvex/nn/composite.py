"""Modules made of other modules: from one description of their wiring follow curvature and steps."""

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from torch import nn

from featureconvex.errors import ConvexityError
from featureconvex.nn.card import Card, M, rounding_steps
from featureconvex.nn.convexity import curvature
from featureconvex.nn.curvature import MONOTONE_AFFINE, Curvature
from featureconvex.rounding.graph import Graph
from featureconvex.rounding.steps import Reshape

Node = TypeVar("Node")


class Wires(ABC, Generic[Node]):
    """What flows through a network: a curvature, or the number of a node in a graph of steps."""

    @abstractmethod
    def through(self, part: nn.Module, node: Node) -> Node:
        """``part(node)``."""

    @abstractmethod
    def add(self, a: Node, b: Node) -> Node:
        """``a + b``."""

    @abstractmethod
    def reshape(self, node: Node, start: int, tail: tuple[int, ...]) -> Node:
        """All dimensions after the first ``start`` become ``tail``."""


class Composite(Card[M]):
    """The card of a module that only passes numbers between its parts, adds and reshapes them."""

    @abstractmethod
    def wiring(self, module: M, wires: Wires[Node], node: Node) -> Node:
        """What the module computes from ``node``, as its ``forward`` does."""

    def curvature(self, module: M) -> Curvature:
        """By the rules for compositions and sums."""
        return self.wiring(module, _Curvatures(), MONOTONE_AFFINE)

    def rounding_steps(self, module: M, graph: Graph, node: int) -> int:
        """Those of the parts."""
        return self.wiring(module, _Steps(graph), node)


class _Curvatures(Wires[Curvature]):
    def through(self, part: nn.Module, node: Curvature) -> Curvature:
        result = curvature(part).after(node)
        if result is None:
            raise ConvexityError(
                f"{part!r} follows a convex, non-affine module and is not nondecreasing; "
                "use NonNegativeLinear, NonNegativeConv2d or MonotoneBatchNorm there"
            )
        return result

    def add(self, a: Curvature, b: Curvature) -> Curvature:
        return a.plus(b)

    def reshape(self, node: Curvature, start: int, tail: tuple[int, ...]) -> Curvature:
        return node


class _Steps(Wires[int]):
    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def through(self, part: nn.Module, node: int) -> int:
        return rounding_steps(part, self.graph, node)

    def add(self, a: int, b: int) -> int:
        return self.graph.add(a, b)

    def reshape(self, node: int, start: int, tail: tuple[int, ...]) -> int:
        return self.graph.apply(Reshape(start, tail), node)
