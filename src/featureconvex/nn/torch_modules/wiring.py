"""torch's modules that only pass numbers on."""

from torch import Tensor, nn

from featureconvex.errors import ConvexityError, UserError
from featureconvex.nn.card import Card, card
from featureconvex.nn.composite import Composite, Node, Wires
from featureconvex.nn.curvature import MONOTONE_AFFINE, Curvature
from featureconvex.rounding.graph import Graph
from featureconvex.rounding.steps import Reshape


@card(nn.Identity, nn.Dropout)
class IdentityCard(Card[nn.Identity | nn.Dropout]):
    """Dropout does nothing in eval mode."""

    def curvature(self, module: nn.Identity | nn.Dropout) -> Curvature:
        """The identity."""
        return MONOTONE_AFFINE

    def rounding_steps(self, module: nn.Identity | nn.Dropout, graph: Graph, node: int) -> int:
        """None."""
        return node


@card(nn.Flatten)
class FlattenCard(Card[nn.Flatten]):
    """Reorders nothing."""

    def curvature(self, module: nn.Flatten) -> Curvature:
        """The identity."""
        return MONOTONE_AFFINE

    def rounding_steps(self, module: nn.Flatten, graph: Graph, node: int) -> int:
        """``Flatten(0)`` at the end turns (n, 1) into (n,)."""
        if module.start_dim < 0 or module.end_dim != -1:
            raise UserError(
                f"level 'sound' knows Flatten() to the last dimension only, got {module!r}"
            )
        if module.start_dim == 0:
            return graph.apply(Reshape(1, ()), node)
        return graph.apply(Reshape(module.start_dim, (-1,)), node)

    def check_batch(self, module: nn.Flatten, z: Tensor) -> None:
        """Rows must stay apart."""
        start = module.start_dim % z.ndim if z.ndim else 0
        if start == 0 and z[0].numel() != 1:
            raise ConvexityError(
                f"{module!r} joins the rows of a batch of shape (n, {', '.join(map(str, z.shape[1:]))}) "
                "into one; start it at dimension 1"
            )


@card(nn.Sequential)
class SequentialCard(Composite[nn.Sequential]):
    """One part after the other."""

    def wiring(self, module: nn.Sequential, wires: Wires[Node], node: Node) -> Node:
        """A chain."""
        for part in module:
            node = wires.through(part, node)
        return node
