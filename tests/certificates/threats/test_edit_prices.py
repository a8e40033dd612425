"""Prices of edits by the cheapest chain, and categories of thousands of levels."""

import itertools
import math
import time

import numpy as np
import pytest
import torch

import featureconvex as fc
from featureconvex.certificates.threats.edits.prices import Prices

MANY = 3000


@pytest.mark.parametrize("seed", range(12))
def test_chains_are_the_cheapest_of_all_walks(seed: int) -> None:
    """Against every order of four levels: also where no edit leads, and where all cost about the same."""
    rng = np.random.default_rng(seed)
    given = rng.uniform(1, (1.5, 2, 9)[seed % 3], (4, 4))
    given[rng.random((4, 4)) < (0.0, 0.4)[seed % 2]] = math.inf
    if seed % 4 == 3:
        given[2, :] = given[:, 2] = math.inf
    found = Prices([4], [given]).leaving(torch.arange(4)[:, None])[:, 0].numpy()
    walks = [walk for size in (2, 3, 4) for walk in itertools.permutations(range(4), size)]
    for start, end in itertools.permutations(range(4), 2):
        priced = [
            sum(given[a, b] for a, b in itertools.pairwise(walk))
            for walk in walks
            if walk[0] == start and walk[-1] == end
        ]
        assert found[start, end] == pytest.approx(min(priced))
    assert (np.diag(found) == 0).all()


def test_blocks_of_any_size_side_by_side() -> None:
    """One price, a table of prices, a boolean: what is no level has no price."""
    prices = Prices([3, 2, 2], [5.0, [[0, 1.0], [math.inf, 0]], 2.0])
    found = prices.leaving(torch.tensor([[1, 0, 1], [2, 1, 0]])).tolist()
    inf = math.inf
    assert found[0] == [[5, 0, 5], [0, 1, inf], [2, 0, inf]]
    assert found[1] == [[5, 5, 0], [inf, 0, inf], [0, 2, inf]]
    assert prices.cheapest.tolist() == [5, 1, 2]
    assert prices.distinct == (1, 2, 5)


def test_thousands_of_levels_are_quick() -> None:
    """One price for all, and a level of missing cells apart: both took minutes."""
    rng = np.random.default_rng(0)
    weight = torch.from_numpy(rng.normal(size=(1, MANY)))
    net = fc.nn.MaxAffine(MANY, 1).double()
    with torch.no_grad():
        net.affine.weight.copy_(weight)
        net.affine.bias.fill_(-float(weight.median()))
    model = fc.FeatureConvexModel(fc.features.Identity(), net).eval()
    top = int(weight.argmax())
    x = torch.eye(MANY, dtype=torch.float64)[[top]]
    apart = np.full((MANY, MANY), 3.0)
    apart[-1, :] = apart[:, -1] = math.inf
    start = time.process_time()
    for price in (3.0, [apart]):
        threat = fc.Edits(blocks=[list(range(MANY))], price=price)
        found = fc.certify(model, x, threat, fc.Box(0, 1), "domain")
        assert found.radius[0] == pytest.approx(3)
        evasion = fc.attack(model, x, threat=threat, domain=fc.Box(0, 1))
        assert evasion.found[0]
        assert evasion.distance[0] == 3
    assert time.process_time() - start < 12


def test_any_step_is_projected_whatever_the_widths_of_blocks() -> None:
    """A step that is no edit, rising or falling in every level, beside a wider block."""
    table = [[0.0, 2.0], [3.0, 0.0]]
    threat = fc.Edits(blocks=[[0, 1], [2, 3, 4, 5], [6]], price=[table, 1.0, 1.0])
    generator = torch.Generator().manual_seed(0)
    steps = torch.randn(200, 8, generator=generator, dtype=torch.float64) * 2
    steps = torch.cat((steps, steps.abs(), -steps.abs()))
    budget = torch.linspace(0, 8, len(steps), dtype=torch.float64)
    far = torch.full_like(steps, math.inf)
    kept = threat.project(steps, budget, -far, far)
    first = {(0.0, 0.0): 0.0, (-1.0, 1.0): 2.0, (1.0, -1.0): 3.0}
    pairs = kept[:, :2].tolist()
    spent = torch.tensor([first[a, b] for a, b in pairs], dtype=torch.float64)
    spent += (kept[:, 2:6] != 0).any(1) + kept[:, 6].abs() + kept[:, 7].abs()
    assert (spent <= budget + 1e-9).all()
    assert (kept[:, :2] != 0).any()
