"""Constants between norms of a chain whose diagonal steps in front meet the costs of a threat."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import featureconvex as fc
from featureconvex.features import (
    Compose,
    FeatureMap,
    Flatten,
    MaxMin,
    NonexpansiveLinear,
    Scale,
)
from featureconvex.nn import ConvexMLP
from featureconvex.norms import NORMS, vector_norm
from featureconvex.rounding.graph import Graph

SIZE = 4
NUMBERS = st.sampled_from([2.0**-9, 0.3, 1.0, 5.0, 2.0**9])
ROWS = st.lists(NUMBERS, min_size=SIZE, max_size=SIZE)


def constants(
    phi: FeatureMap, p: float, cost: Tensor, shape: tuple[int, ...]
) -> dict[float, float]:
    graph = Graph(torch.float64)
    phi.rounding_steps(graph, 0)
    return graph.constants(p, cost, torch.Size((7, *shape)))


def scaled(scale: object, shape: tuple[int, ...], seed: int = 0) -> FeatureMap:
    torch.manual_seed(seed)
    flat = [] if len(shape) == 1 else [Flatten(shape)]
    return Compose(Scale(scale), *flat, NonexpansiveLinear(SIZE, 6), MaxMin()).double().eval()


@pytest.mark.parametrize("p", NORMS)
@given(ROWS, ROWS, st.integers(0, 3))
def test_no_move_exceeds_them(p: float, scale: list[float], costs: list[float], seed: int) -> None:
    """Along every coordinate, too: whichever scale stands first, the largest quotient counts."""
    phi, cost = scaled(scale, (SIZE,), seed), torch.tensor(costs, dtype=torch.float64)
    move = torch.cat((torch.eye(SIZE), torch.randn(8, SIZE))).double() / cost
    spent = vector_norm(cost * move, p)
    with torch.no_grad():
        changed = phi(move) - phi(torch.zeros_like(move))
    for s, constant in constants(phi, p, cost, (SIZE,)).items():
        assert (vector_norm(changed, s) <= constant * spent * (1 + 1e-9)).all(), s


@pytest.mark.parametrize(
    ("scale", "shape"),
    [
        ([2.0, 2.0**-9, 5.0, 2.0**9], (SIZE,)),
        ([2.0**9, 2.0**-9, 5.0, 2.0], (SIZE,)),
        (3.0, (SIZE,)),
        ([[[0.5]], [[64.0]]], (2, 1, 2)),
    ],
)
def test_costs_of_one_over_the_scale_leave_the_map_alone(
    scale: object, shape: tuple[int, ...]
) -> None:
    cost = torch.tensor(scale, dtype=torch.float64).abs()
    found = constants(scaled(scale, shape), 2.0, cost, shape)[2.0]
    assert found == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("first", [2.0**-9, 1.0, 2.0**9])
@pytest.mark.parametrize("base", ["closed-form", "domain"])
def test_level_sound_loses_little_in_standard_deviations(first: float, base: str) -> None:
    torch.manual_seed(0)
    scale = torch.tensor([first, 2.0**7, 0.3, 2.0**-6], dtype=torch.float64)
    model = fc.FeatureConvexModel(scaled(scale, (SIZE,)), ConvexMLP(6, (8,)), tau=1.0).double()
    x = torch.randn(20, SIZE, dtype=torch.float64) / scale
    threats = [fc.Lp(p, cost=scale) for p in (1, 2, math.inf)]
    for closed, sound in zip(
        fc.certify(model, x, threats, level="closed-form"),
        fc.certify(model, x, threats, level=fc.levels.Sound(base)),
        strict=True,
    ):
        assert (closed.radius > 0).sum() >= 5
        assert (sound.radius >= 0.95 * closed.radius).all()


def test_what_was_asked_before_is_answered_anew_where_anything_differs() -> None:
    phi = scaled([2.0, 1.0, 1.0, 3.0], (SIZE,))
    graph = Graph(torch.float64)
    end = phi.rounding_steps(graph, 0)
    cost, shape = torch.ones(SIZE, dtype=torch.float64), torch.Size((7, SIZE))
    first = graph.constants(2.0, cost, shape)
    first[2.0] = 0.0  # a caller's copy
    again = graph.constants(2.0, cost, shape)
    assert again == constants(phi, 2.0, cost, (SIZE,))
    assert graph.constants(2.0, 2 * cost, shape)[2.0] == pytest.approx(again[2.0] / 2)
    Scale(3.0).rounding_steps(graph, end)
    assert graph.constants(2.0, cost, shape)[2.0] == pytest.approx(3 * again[2.0])
