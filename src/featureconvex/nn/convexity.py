"""The proof that a module is convex in its input: the curvature on its card, if its card still applies."""

from torch import nn
from torch.nn.utils import parametrize

from featureconvex.errors import ConvexityError
from featureconvex.nn.card import card_of
from featureconvex.nn.curvature import Curvature
from featureconvex.nn.freezing.as_written import foreign_code
from featureconvex.nn.freezing.code import check_unchanged


def curvature(module: nn.Module) -> Curvature:
    """What is proved about ``module`` in eval mode.

    Raises:
        ConvexityError: the module's class has no card, its card does not apply, or other code runs.
    """
    card = card_of(module)
    other = foreign_code(module)
    if other is not None:
        kind = parametrize.type_before_parametrizations(module)
        raise ConvexityError(f"{kind.__qualname__} has {other}; it may compute anything")
    check_unchanged(parametrize.type_before_parametrizations(module))
    proved: Curvature = card.curvature(module)
    return proved


def prove_convex(module: nn.Module) -> Curvature:
    """Prove that ``module`` is convex in its input, or raise :class:`ConvexityError` saying why not."""
    return curvature(module)
