"""Everything the library knows about a class of modules, in one place: its card.

A module without a card is refused by name, never guessed; :func:`card` registers one::

    @card(MyLayer)
    class MyLayerCard(Card[MyLayer]):
        def curvature(self, layer: MyLayer) -> Curvature:
            return MONOTONE_CONVEX

A card is about the exact class, not its subclasses: a subclass may override ``forward``. It is about the
``forward`` that the class has when it is registered, in eval mode.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Generic, TypeVar

from torch import Tensor, nn
from torch.nn.utils import parametrize

from featureconvex.errors import ConvexityError, UserError
from featureconvex.nn.curvature import Curvature
from featureconvex.nn.freezing.code import remember
from featureconvex.nn.minorants import Minorants
from featureconvex.rounding.graph import Graph

M = TypeVar("M", bound=nn.Module)


class Card(ABC, Generic[M]):
    """What is known about modules of one class. Only :meth:`curvature` is needed; a level that needs more
    refuses the module, and names the method to write.

    A class that model files may hold has a method ``config()`` that returns its constructor's arguments.

    Attributes:
        dimensions: of a batch, as the module takes it with the rows first; None: any.
    """

    dimensions: ClassVar[tuple[int, ...] | None] = None

    @abstractmethod
    def curvature(self, module: M) -> Curvature:
        """The proof: under which theorem every output is convex in the input.

        Raises:
            ConvexityError: it is not, for the parameters that this module has.
        """

    def minorants(self, module: M) -> Minorants | None:
        """The affine functions below the module, for level ``tight``; None: its parts have them."""
        return None

    def rounding_steps(self, module: M, graph: Graph, node: int) -> int:
        """Append what the module computes from ``node``, for level ``sound``; returns the output's node.

        The steps state the function that is certified, in exact real arithmetic on the stored parameters,
        and how a forward pass rounds: see :mod:`featureconvex.certificates.levels.sound.deployed`.

        Raises:
            UserError: they are not known for this module.
        """
        raise UserError(
            f"level 'sound' has no rounding rule for {name_of(module)}; give its card "
            "(featureconvex.nn.Card) the method rounding_steps, or use another level"
        )

    def check_batch(self, module: M, z: Tensor) -> None:
        """Refuse a batch whose first dimension the module would not take for the rows.

        Raises:
            ConvexityError: ``z`` has other dimensions than ``dimensions``.
        """
        if self.dimensions is not None and z.ndim not in self.dimensions:
            raise ConvexityError(
                f"{module!r} got a batch of shape (n, {', '.join(map(str, z.shape[1:]))}) and would take "
                "its rows for something else than rows; it needs "
                f"{' or '.join(map(str, self.dimensions))} dimensions, the batch first: give the inputs "
                "that shape"
            )


_CARDS: dict[type[nn.Module], Card[Any]] = {}
_C = TypeVar("_C", bound=type[Card[Any]])


def card(*kinds: type[nn.Module]) -> Callable[[_C], _C]:
    """Register a card for modules of exactly these classes."""

    def register(made: _C) -> _C:
        for kind in kinds:
            known = type(_CARDS[kind]) if kind in _CARDS else made
            # The same card again, as a notebook's cell defines it.
            if (known.__module__, known.__qualname__) != (made.__module__, made.__qualname__):
                raise ConvexityError(
                    f"{kind.__module__}.{kind.__qualname__} has a card, "
                    f"{known.__module__}.{known.__qualname__}; two proofs of one class cannot both count: "
                    "give the card to a class of your own"
                )
            _CARDS[kind] = made()
            remember(kind)
        return made

    return register


def card_of(module: nn.Module) -> Card[Any]:
    """The card of a module's class.

    Raises:
        ConvexityError: there is none.
    """
    kind = parametrize.type_before_parametrizations(module)
    if kind not in _CARDS:
        raise ConvexityError(
            f"no card for {name_of(module)}, so nothing is known about it; if it is convex in its input, "
            "write the proof as a featureconvex.nn.Card and register it with featureconvex.nn.card"
        )
    return _CARDS[kind]


def has_card(module: nn.Module) -> bool:
    """Whether the module's class has a card."""
    return parametrize.type_before_parametrizations(module) in _CARDS


def cards() -> dict[type[nn.Module], Card[Any]]:
    """All cards, by class."""
    return dict(_CARDS)


def rounding_steps(module: nn.Module, graph: Graph, node: int) -> int:
    """Append the steps of ``module`` to ``graph`` after ``node``; returns the node of its output.

    Raises:
        UserError: its class has no card, or a card without steps.
    """
    return card_of(module).rounding_steps(module, graph, node)


def name_of(module: nn.Module) -> str:
    """Where the class of a module is from: what a person searches for."""
    kind = parametrize.type_before_parametrizations(module)
    return f"{kind.__module__}.{kind.__qualname__}"
