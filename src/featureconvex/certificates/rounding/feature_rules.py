"""Which steps a feature map consists of; a map without a rule is refused by name."""

from featureconvex.certificates.rounding.rules import rule, trace
from featureconvex.features.absolute import AbsConcat
from featureconvex.features.affine import Center, Identity, Scale
from featureconvex.features.compose import Compose
from featureconvex.rounding.graph import Graph
from featureconvex.rounding.operators import Diagonal
from featureconvex.rounding.steps import AbsStack, Affine, Translation


@rule(Identity)
def _identity(_: Identity, __: Graph, node: int) -> int:
    return node


@rule(Scale)
def _scale(phi: Scale, graph: Graph, node: int) -> int:
    """``scale * x + shift`` with both rounded to the dtype of the input, as the forward pass does."""
    scale, shift = (part.to(graph.dtype).double() for part in (phi.scale, phi.shift))
    return graph.apply(Affine(Diagonal(scale), shift, shift.abs()), node)


@rule(Center)
def _center(phi: Center, graph: Graph, node: int) -> int:
    """``x + shift``: one addition."""
    return graph.apply(Translation(phi.shift.to(graph.dtype).double()), node)


@rule(AbsConcat)
def _stack(_: AbsConcat, graph: Graph, node: int) -> int:
    return graph.apply(AbsStack(), node)


@rule(Compose)
def _compose(phi: Compose, graph: Graph, node: int) -> int:
    for part in phi.parts():
        node = trace(part, graph, node)
    return node
