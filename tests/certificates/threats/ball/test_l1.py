"""The worst drop of an l1 budget: greedy over concave envelopes, against linear programs."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from torch import Tensor

from featureconvex.certificates.drops import FAR, Drops, Rise
from featureconvex.certificates.threats.ball.worst_case import worst_lp_drop

ROWS, CURVES = 4, 90  # more than are looked at first
STRETCHES = [(1, False), (2, False), (2, True), (3, True), (5, False)]


def curves(seed: int, stretches: int, some: bool, count: int = CURVES) -> Drops:
    """Random curves, of which some never end, some are flat, and some have no length."""
    torch.manual_seed(seed)

    def slopes(n: int) -> Tensor:
        return torch.rand(ROWS, n).double() * torch.randint(0, 3, (ROWS, n))

    first = Rise(torch.zeros(ROWS, count).double(), torch.rand(ROWS, count).double(), slopes(count))
    if stretches == 1:
        first.end[:, ::7], first.end[:, 3::7] = FAR, 0.0
        return Drops((first,), (count,))
    rises, columns = [first], torch.arange(0, count, 3) if some else None
    for last in [*[False] * (stretches - 2), True]:
        before = rises[-1].end if not last or columns is None else rises[-1].end[:, columns]
        gap = torch.rand_like(before) * torch.randint(0, 2, before.shape)
        end = before + gap + torch.rand_like(before)
        if last:
            end[:, ::5] = FAR
        some_columns = columns if last else None
        rises.append(Rise(before + gap, end, slopes(before.shape[1]), some_columns))
    return Drops(tuple(rises), (count,))


def best_envelope(drops: Drops, budget: float, row: int) -> float:
    """The linear program over the hulls of each curve's corners up to the budget."""
    cut = drops.within(torch.full((ROWS,), budget).double())
    times = [torch.zeros_like(cut.rises[0].end)]
    times += [rise.into(times[0], at) for rise in cut.dense.rises for at in (rise.start, rise.end)]
    heights = [torch.stack([cut.at(t[:, k]) for k in range(CURVES)], 2) for t in times]
    gains = np.concatenate([height.diagonal(dim1=1, dim2=2)[row].numpy() for height in heights])
    spent = np.concatenate([t[row].numpy() for t in times])
    weights = np.tile(np.eye(CURVES), len(times))
    found = linprog(-gains, spent[None], [budget], weights, np.ones(CURVES))
    assert found.status == 0
    return -float(found.fun)


@pytest.mark.parametrize(("stretches", "some"), STRETCHES)
@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_it_is_the_linear_program_of_the_envelopes(stretches: int, some: bool, seed: int) -> None:
    drops = curves(seed, stretches, some)
    for budget in (0.05, 2.0, 60.0):
        found = worst_lp_drop(drops, torch.full((ROWS,), budget).double(), 1.0)
        row = seed % ROWS
        assert float(found[row]) == pytest.approx(best_envelope(drops, budget, row), rel=1e-6)


@pytest.mark.parametrize(("stretches", "some"), STRETCHES)
def test_its_derivative_is_that_of_the_moves(stretches: int, some: bool) -> None:
    drops, most = curves(1, stretches, some, 8), torch.tensor([0.05, 0.5, 2.0, 9.0]).double()

    def fall(*slopes: Tensor) -> Tensor:
        rises = (replace(rise, slope=own) for rise, own in zip(drops.rises, slopes, strict=True))
        return worst_lp_drop(Drops(tuple(rises), drops.shape), most, 1.0)

    # At 0, and where two are equal, is a kink.
    slopes = tuple(
        (rise.slope + 0.1 * torch.rand_like(rise.slope)).requires_grad_() for rise in drops.rises
    )
    assert torch.autograd.gradcheck(fall, slopes)


def test_what_is_no_number_is_no_proof() -> None:
    """Slopes whose heights overflow may take anything away."""
    slope = torch.full((1, 2), 1e300, dtype=torch.float64)
    first = Rise(torch.zeros(1, 2).double(), torch.full((1, 2), 1e10).double(), slope)
    drops = Drops((first,), (2,))
    assert worst_lp_drop(drops, torch.tensor([1e15]).double(), 1.0) == torch.inf
