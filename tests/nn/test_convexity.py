"""The calculus of curvature against its theorems, and its refusals."""

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from featureconvex import ConvexityError
from featureconvex.nn import (
    Card,
    ConvexConvNet,
    ConvexMLP,
    Curvature,
    MaxAffine,
    MonotoneBatchNorm2d,
    NonNegativeConv2d,
    NonNegativeLinear,
    card,
    curvature,
    prove_convex,
)
from featureconvex.nn.curvature import AFFINE, CONVEX, MONOTONE_AFFINE, MONOTONE_CONVEX

KINDS = (AFFINE, MONOTONE_AFFINE, CONVEX, MONOTONE_CONVEX)

# One function of each kind, R -> R.
EXAMPLES: dict[Curvature, list[Callable[[Tensor], Tensor]]] = {
    AFFINE: [lambda t: -2 * t + 1, lambda t: 3 * t],
    MONOTONE_AFFINE: [lambda t: 0.5 * t - 1],
    CONVEX: [lambda t: t**2, lambda t: (t - 1).abs()],
    MONOTONE_CONVEX: [torch.exp, torch.relu],
}
T = torch.linspace(-2, 2, 401, dtype=torch.float64)


def has(kind: Curvature, values: Tensor) -> bool:
    """Whether sampled values show no counterexample to ``kind``."""
    bend = values[2:] - 2 * values[1:-1] + values[:-2]
    convex = bool((bend >= -1e-9 * values.abs().max()).all())
    flat = bool((bend.abs() <= 1e-9 * values.abs().max()).all())
    rising = bool((values.diff() >= -1e-12).all())
    return convex and (flat or not kind.affine) and (rising or not kind.nondecreasing)


@pytest.mark.parametrize(("outer", "inner"), list(itertools.product(KINDS, KINDS)), ids=str)
def test_composition_claims_only_what_examples_show(outer: Curvature, inner: Curvature) -> None:
    claimed = outer.after(inner)
    shown = [f(g(T)) for f in EXAMPLES[outer] for g in EXAMPLES[inner]]
    if claimed is not None:
        assert all(has(claimed, values) for values in shown)
    else:
        # Refused for a reason: some example is not convex.
        assert not all(has(CONVEX, values) for values in shown)


@pytest.mark.parametrize(("a", "b"), list(itertools.product(KINDS, KINDS)), ids=str)
def test_sums_claim_only_what_examples_show(a: Curvature, b: Curvature) -> None:
    for f, g in itertools.product(EXAMPLES[a], EXAMPLES[b]):
        assert has(a.plus(b), f(T) + g(T))


@pytest.mark.parametrize(
    ("module", "kind"),
    [
        (nn.Linear(2, 3), AFFINE),
        (nn.Conv2d(1, 2, 3), AFFINE),
        (nn.Conv1d(1, 2, 3), AFFINE),
        (nn.BatchNorm1d(2), AFFINE),
        (nn.Identity(), MONOTONE_AFFINE),
        (nn.AvgPool2d(2), MONOTONE_AFFINE),
        (nn.Dropout(0.3), MONOTONE_AFFINE),
        (NonNegativeLinear(2, 3), MONOTONE_AFFINE),
        (NonNegativeConv2d(1, 2, 3), MONOTONE_AFFINE),
        (MonotoneBatchNorm2d(2), MONOTONE_AFFINE),
        (nn.ReLU(), MONOTONE_CONVEX),
        (nn.MaxPool2d(2), MONOTONE_CONVEX),
        (nn.MaxPool2d(1), MONOTONE_AFFINE),
        (MaxAffine(3, 4), CONVEX),
        (ConvexMLP(3, ()), AFFINE),
        (ConvexMLP(3, (4,)), CONVEX),
        (ConvexMLP(3, (4,), passthrough=False), CONVEX),
        (ConvexConvNet(1, 4, features=2, depth=1), CONVEX),
        (nn.Sequential(), MONOTONE_AFFINE),
        (nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)), AFFINE),
        (nn.Sequential(NonNegativeLinear(2, 3), nn.ReLU()), MONOTONE_CONVEX),
        (nn.Sequential(nn.Linear(2, 3), nn.ReLU(), NonNegativeLinear(3, 1)), CONVEX),
    ],
    ids=lambda item: type(item).__name__,
)
def test_what_is_proved(module: nn.Module, kind: Curvature) -> None:
    assert curvature(module) == kind


@pytest.mark.parametrize(
    ("module", "word"),
    [
        (nn.Tanh(), "no card for .*Tanh"),
        (nn.Softplus(), "no card for .*Softplus"),
        (nn.LeakyReLU(1.5), "not convex"),
        (nn.LeakyReLU(-0.1), "not convex"),
        (nn.ELU(1.5), "not convex"),
        (nn.AvgPool2d(2, divisor_override=-4), "negative number"),
        (nn.BatchNorm1d(2, track_running_stats=False), "batch statistics"),
        (nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)), "not nondecreasing"),
        (nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.BatchNorm1d(3)), "not nondecreasing"),
        (nn.Sequential(MaxAffine(2, 3), nn.Linear(1, 1)), "not nondecreasing"),
        (nn.Sequential(nn.Linear(2, 3), nn.Sigmoid()), "no card for .*Sigmoid"),
    ],
    ids=lambda item: str(item)[:24],
)
def test_what_is_refused(module: nn.Module, word: str) -> None:
    with pytest.raises(ConvexityError, match=word):
        prove_convex(module)


def test_an_unknown_module_is_refused_with_the_way_to_register_it() -> None:
    class Square(nn.Module):
        def forward(self, u: Tensor) -> Tensor:
            return (u**2).sum(1)

    with pytest.raises(ConvexityError, match=r"register it with featureconvex\.nn\.card"):
        prove_convex(Square())

    @card(Square)
    class SquareCard(Card[Square]):
        def curvature(self, module: Square) -> Curvature:
            return CONVEX

    assert prove_convex(Square()) == CONVEX

    class Negative(Square):
        def forward(self, u: Tensor) -> Tensor:
            return -super().forward(u)

    with pytest.raises(ConvexityError, match="Negative"):
        prove_convex(Negative())


def test_something_that_is_no_module_is_refused() -> None:
    with pytest.raises(ConvexityError, match="function"):
        prove_convex(lambda u: u)  # type: ignore[arg-type]


def test_a_class_has_one_card() -> None:
    """A second proof would replace the first one, of the library's own layers, too."""

    class Mine(Card[nn.ReLU]):
        def curvature(self, module: nn.ReLU) -> Curvature:
            return Curvature(affine=True, nondecreasing=True)

    with pytest.raises(ConvexityError, match=r"ReLU has a card, .*a class of your own"):
        card(nn.ReLU)(Mine)

    class Own(nn.Module):
        pass

    class OwnCard(Card[Own]):
        def curvature(self, module: Own) -> Curvature:
            return Curvature(affine=True, nondecreasing=True)

    # A notebook's cell may be run again.
    assert card(Own)(card(Own)(OwnCard)) is OwnCard
