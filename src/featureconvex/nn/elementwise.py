"""The card of an activation: a curve says everything else."""

from abc import abstractmethod
from typing import ClassVar

from torch import nn

from featureconvex.errors import ConvexityError
from featureconvex.nn.card import Card, M, cards
from featureconvex.nn.curvature import MONOTONE_CONVEX, Curvature
from featureconvex.nn.minorants import Elementwise
from featureconvex.rounding.activation import Activation, Curve
from featureconvex.rounding.graph import Graph


class ElementwiseCard(Card[M]):
    """An activation whose :meth:`curve` is convex, nondecreasing and 1-Lipschitz on all of R.

    Attributes:
        name: what networks call it, as in ``"softplus:5"``.
        parameter: the attribute and constructor's argument that the number after the colon is; None: none.
    """

    name: ClassVar[str]
    parameter: ClassVar[str | None] = None

    @abstractmethod
    def curve(self, module: M) -> Curve | None:
        """The function, or None where the module's parameters make it another one."""

    def curvature(self, module: M) -> Curvature:
        """Convex and nondecreasing, as its curve is.

        Raises:
            ConvexityError: the module's parameters make it something else.
        """
        self._curve(module)
        return MONOTONE_CONVEX

    def minorants(self, module: M) -> Elementwise:
        """A slope for every number."""
        return Elementwise(self._curve(module))

    def rounding_steps(self, module: M, graph: Graph, node: int) -> int:
        """One step."""
        return graph.apply(Activation(self._curve(module)), node)

    def _curve(self, module: M) -> Curve:
        curve = self.curve(module)
        if curve is None:
            raise not_an_activation(module)
        return curve


def activation_cards() -> dict[type[nn.Module], ElementwiseCard[nn.Module]]:
    """The cards of all activations, by class."""
    return {kind: made for kind, made in cards().items() if isinstance(made, ElementwiseCard)}


def not_an_activation(module: nn.Module) -> ConvexityError:
    """The error for a module that cannot be an activation of a convex network."""
    hint = " (torch's version is not convex as computed)" if isinstance(module, nn.Softplus) else ""
    names = ", ".join(made.name for made in activation_cards().values())
    return ConvexityError(
        f"{module!r} is not convex and nondecreasing{hint}; use one of {names}, identity, or "
        "LeakyReLU with slope in [0, 1], ELU with alpha in [0, 1], CELU with alpha > 0, or a module with "
        "a featureconvex.nn.ElementwiseCard"
    )
