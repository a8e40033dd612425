"""The worst drop of an l1 budget: greedy over concave envelopes, against linear programs and the dual."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog
from torch import Tensor

from featureconvex.certificates.drops import FAR, Drops, Rise
from featureconvex.certificates.threats.ball import worst_case
from featureconvex.certificates.threats.ball.worst_case import worst_lp_drop

ROWS, CURVES = 4, 90  # more than are looked at first


def curves(seed: int, stretches: int, some: bool) -> Drops:
    """Random curves, of which some never end, some are flat, and some have no length."""
    torch.manual_seed(seed)

    def slopes(n: int) -> Tensor:
        return torch.rand(ROWS, n).double() * torch.randint(0, 3, (ROWS, n))

    first = Rise(
        torch.zeros(ROWS, CURVES).double(), torch.rand(ROWS, CURVES).double(), slopes(CURVES)
    )
    if stretches == 1:
        first.end[:, ::7], first.end[:, 3::7] = FAR, 0.0
        return Drops((first,), (CURVES,))
    columns = torch.arange(0, CURVES, 3) if some else None
    before = first.end if columns is None else first.end[:, columns]
    gap = torch.rand_like(before) * torch.randint(0, 2, before.shape)
    end = before + gap + torch.rand_like(before)
    end[:, ::5] = FAR
    second = Rise(before + gap, end, slopes(before.shape[1]), columns)
    return Drops((first, second), (CURVES,))


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


@pytest.mark.parametrize(("stretches", "some"), [(1, False), (2, False), (2, True)])
@given(seed=st.integers(0, 10**6))
def test_it_is_the_linear_program_of_the_envelopes(stretches: int, some: bool, seed: int) -> None:
    drops = curves(seed, stretches, some)
    for budget in (0.05, 2.0, 60.0):
        found = worst_lp_drop(drops, torch.full((ROWS,), budget).double(), 1.0)
        row = seed % ROWS
        assert float(found[row]) == pytest.approx(best_envelope(drops, budget, row), rel=1e-6)


@pytest.mark.parametrize(("stretches", "some"), [(1, False), (2, False), (2, True)])
def test_the_dual_proves_as_much(
    stretches: int, some: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed, budget in itertools.product(range(10), (0.5, 8.0)):
        drops, most = curves(seed, stretches, some), torch.full((ROWS,), budget).double()
        found = worst_lp_drop(drops, most, 1.0)
        with monkeypatch.context() as patch:
            patch.setattr(worst_case, "MOST_STRETCHES", 0)
            torch.testing.assert_close(worst_lp_drop(drops, most, 1.0), found, rtol=2e-6, atol=0)


@pytest.mark.parametrize(("stretches", "some"), [(1, False), (2, False), (2, True)])
def test_its_derivative_is_that_of_the_moves(stretches: int, some: bool) -> None:
    drops, most = curves(1, stretches, some), torch.tensor([0.05, 1.0, 4.0, 30.0]).double()

    def fall(*slopes: Tensor) -> Tensor:
        rises = (replace(rise, slope=own) for rise, own in zip(drops.rises, slopes, strict=True))
        return worst_lp_drop(Drops(tuple(rises), drops.shape), most, 1.0)

    # At 0 a slope is at a kink: nobody moves down it.
    slopes = tuple((rise.slope + 0.01).requires_grad_() for rise in drops.rises)
    assert torch.autograd.gradcheck(fall, slopes)


def test_what_is_no_number_is_no_proof() -> None:
    """Slopes whose heights overflow may take anything away."""
    slope = torch.full((1, 2), 1e300, dtype=torch.float64)
    first = Rise(torch.zeros(1, 2).double(), torch.full((1, 2), 1e10).double(), slope)
    drops = Drops((first,), (2,))
    assert worst_lp_drop(drops, torch.tensor([1e15]).double(), 1.0) == torch.inf
