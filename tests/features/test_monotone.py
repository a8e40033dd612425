"""Monotone maps: every law of a feature map, and weights that nothing makes negative."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import elu

import featureconvex as fc
from featureconvex.errors import ConvexityError, UserError
from featureconvex.features import Compose, FeatureMap, MonotoneLinear, ThreeWays
from featureconvex.nn import NonNegativeLinear, project_
from featureconvex.testing import FEATURE_MAP_LAWS, FeatureMapCase, Law


def chain() -> FeatureMap:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        phi = Compose(MonotoneLinear(4, 7), ThreeWays(), MonotoneLinear(7, 6), ThreeWays())
        with torch.no_grad():
            for part in phi.parts():
                if isinstance(part, MonotoneLinear):
                    part.linear.weight = part.linear.weight * 4  # so that the activations bend
    return phi.eval()


def three(x: torch.Tensor) -> torch.Tensor:
    return torch.stack((elu(x[:, 0]), elu(x[:, 1]), -elu(-x[:, 2]), x[:, 3].clamp(-1, 1)), dim=1)


CASES = {
    "linear": FeatureMapCase(lambda: MonotoneLinear(4, 3).eval(), (4,)),
    "three-ways": FeatureMapCase(ThreeWays, (4,), three),
    "chain": FeatureMapCase(chain, (4,)),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("law", FEATURE_MAP_LAWS, ids=lambda law: law.__name__)
def test_law(law: Law[FeatureMapCase], name: str) -> None:
    torch.manual_seed(1)
    law(CASES[name])


@given(seed=st.integers(0, 1000))
def test_evidence_never_lowers_an_output(seed: int) -> None:
    torch.manual_seed(seed)
    phi, x = chain().double(), torch.randn(20, 4, dtype=torch.float64) * 3
    more = x + 4 * torch.rand_like(x)
    assert bool((phi(more) >= phi(x) - 1e-12).all())


def test_activations_are_neither_convex_nor_concave_nor_decreasing() -> None:
    h = torch.linspace(-3, 3, 61, dtype=torch.float64)[:, None].expand(61, 3)
    y = ThreeWays()(h)
    assert bool((y.diff(dim=0) >= 0).all())
    bend = y.diff(n=2, dim=0)
    assert (bend[:, 0].min() > -1e-9, bend[:, 0].max() > 1e-6) == (True, True)
    assert (bend[:, 1].max() < 1e-9, bend[:, 1].min() < -1e-6) == (True, True)
    assert bend[:, 2].min() < -1e-6 < 1e-6 < bend[:, 2].max()


def test_no_step_of_training_nor_assignment_makes_a_weight_negative() -> None:
    phi = MonotoneLinear(4, 3)
    optimiser = torch.optim.SGD(phi.parameters(), lr=100.0)
    for _ in range(3):
        phi(torch.randn(16, 4)).tanh().sum().backward()
        optimiser.step()
        optimiser.zero_grad()
        project_(phi)
    assert bool((phi.linear.weight >= 0).all())
    with pytest.raises(ConvexityError, match="weights >= 0"):
        phi.linear.weight = -torch.ones(3, 4)


def test_rows_of_another_shape_are_refused() -> None:
    with pytest.raises(UserError, match="rows of 4 numbers"):
        MonotoneLinear(4, 3)(torch.zeros(2, 5))


@pytest.mark.parametrize("level", ["domain", "sound"])
def test_a_monotone_model_is_certified_by_its_corners(level: str) -> None:
    """Bent both ways, so that no convex minorant would do; just beyond its radius the corner flips."""
    torch.manual_seed(0)
    last = NonNegativeLinear(6, 1)
    model = fc.FeatureConvexModel(chain(), torch.nn.Sequential(last, torch.nn.Flatten(0))).double()
    x = torch.rand(30, 4, dtype=torch.float64)
    with torch.no_grad():
        model.eval().tau -= model(x).median()
        found = torch.from_numpy(fc.certify(model, x, fc.Lp(math.inf), level=level).radius)
        flagged = model(x) > 0
        assert torch.equal(found > 0, flagged)
        at = model(x - found[:, None])[flagged]
        beyond = model(x - (found * (1 + 1e-6) + 1e-9)[:, None])[flagged]
    assert bool((at > -1e-12).all())
    assert bool((beyond <= 0).all())
