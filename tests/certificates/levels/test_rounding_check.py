"""Radii that rest on a slope of 0, or on a margin that is barely enough: never made by rounding alone."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from featureconvex import L0, Box, Edits, FeatureConvexModel, Lp, Patch, Unbounded, certify
from featureconvex.certificates import Domain, Threat
from featureconvex.features import AbsConcat, Compose, Identity, MaxMin, NonexpansiveLinear, Scale
from featureconvex.nn import ConvexMLP, MaxAffine

LEVELS = ("domain", "tight", "sound")


def one_piece(weight: Sequence[float], dtype: torch.dtype, tau: float = 0.0) -> FeatureConvexModel:
    """``<weight, (x, |x|)>``."""
    net = MaxAffine(len(weight), 1).to(dtype)
    net.affine.weight.data.copy_(torch.tensor([weight]))
    net.affine.bias.data.zero_()
    return FeatureConvexModel(AbsConcat(), net, tau).eval()


def one_layer(
    weight: Sequence[Sequence[float]],
    bias: Sequence[float],
    last: float,
    straight: Sequence[float],
    tau: float,
) -> FeatureConvexModel:
    """``sum relu(weight x + bias) + <straight, x> + last``, float32."""
    net = ConvexMLP(len(weight[0]), (len(weight),))
    net.load_state_dict(
        {
            "input_layers.0.weight": torch.tensor(weight),
            "input_layers.0.bias": torch.tensor(bias),
            "input_layers.1.weight": torch.tensor([straight]),
            "hidden_layers.0.parametrizations.weight.original": torch.ones(1, len(weight)),
            "hidden_layers.0.bias": torch.tensor([last]),
        }
    )
    return FeatureConvexModel(Identity(), net, tau).eval()


def radii(
    model: FeatureConvexModel, x: Tensor, threat: Threat, domain: Domain | None = None
) -> dict[str, float]:
    levels = (*LEVELS, "closed-form") if threat.exponent is not None else LEVELS
    return {
        level: float(certify(model, x, threat, domain, level=level).radius.max())
        for level in levels
    }


# One coordinate costs nearly nothing.
PRICES = [1e-17, 1.0, 1.0]
THREATS = [Lp(1), Lp(1.5), Lp(2), Lp(math.inf), Edits()]


@pytest.mark.parametrize("threat", THREATS, ids=repr)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_what_an_attacker_takes_exactly_is_taken(threat: Threat, dtype: torch.dtype) -> None:
    """``x / 4 + 3 |x| / 4`` is 0 at 0, where all is lost that can be: a tie, and the flip is at ``|x|``."""
    model = one_piece([0.25, 0.75], dtype)
    x = -torch.arange(1, 101, 4, dtype=dtype)[:, None] / 100
    truth = x.abs().squeeze(1).double().numpy()
    for level in LEVELS:
        radius = certify(model, x, threat, level=level).radius
        assert (radius <= truth * (1 + 1e-6)).all(), level
        assert (radius >= truth * (1 - 1e-5)).all() or level == "sound"


def test_cuts_pay_for_what_cancels_in_them() -> None:
    """The least margin is -0.004, and the network's own numbers are near 150,000."""
    weight = np.array([384.0, -6.0, 4.0])
    model = one_layer([weight.tolist()], [-154528.0], 78825.0, (-weight / 2).tolist(), -1561.004)
    x = torch.tensor([[409.31231689453125, -247.5452117919922, -128.91566467285156]])
    flip = abs(x[0].double().numpy() @ weight - 154528) / np.linalg.norm(weight)
    for domain in (None, Box(-5000, 5000)):
        assert all(radius <= flip * 1.001 for radius in radii(model, x, Lp(2), domain).values())


FALLING = one_layer([[1.0], [-1e-8]], [0.0, 20.0], -19.0, [-1.0], -0.5)
"""Falls by 1e-8 from x = 0 on, which float32 does not see: 0 at 5e7."""


@pytest.mark.parametrize("threat", [*THREATS, L0(), Patch(1)], ids=repr)
def test_a_slope_that_cancels_counts_on_the_way_to_a_border(threat: Threat) -> None:
    assert float(FALLING(torch.tensor([[1e9]])).detach()) < 0
    found = radii(FALLING, torch.tensor([[1.0]]), threat, Box(0, 1e9))
    most = 5e7 if threat.exponent is not None or isinstance(threat, Edits) else 0
    assert all(radius <= most * (1 + 1e-3) for radius in found.values()), found
    near = radii(FALLING, torch.tensor([[1.0]]), threat, Box(0, 1e6))
    assert near["domain"] == near["tight"] == math.inf


def test_a_margin_that_rounding_made_is_none() -> None:
    """-1e-6 between 0 and 10 in exact arithmetic; the machine computes what lies on a grid of 6e-5."""
    model = one_layer([[1.0]], [1000.0], -1000.0, [-1.0], -1e-6)
    x = torch.linspace(0, 1, 101)[:, None]
    x = x[model(x).detach() > 0]
    assert len(x)
    found = radii(model, x, Lp(2), Box(-10, 10))
    assert all(radius == 0 for radius in found.values()), found


HIDDEN = one_layer(
    [[1.0, 0.0], [-1e-8, 0.0], [0.0, 1.0], [0.0, -1.0]],
    [0.0, 20.0, 0.0, 0.0],
    -19.0,
    [-1.0, 0.0],
    -0.5,
)
"""``|x_2| + 1/2``, and the same fall along x_1."""


def test_a_column_of_slopes_that_cancel_plays_its_part() -> None:
    x = torch.tensor([[1.0, 2.0]])
    assert float(HIDDEN(torch.tensor([[1e9, 0.0]])).detach()) < 0
    for domain in (Unbounded(), Box(0, math.inf, direction=[1, 0])):
        assert all(r <= 5.001e7 for r in radii(HIDDEN, x, Lp(2), domain).values())
        assert all(r == 0 for r in radii(HIDDEN, x, L0(), domain).values())
    # A price of 1e-9 lets x_1 go 2.3e8 for a budget of 0.23.
    found = radii(HIDDEN, x, Lp(math.inf, cost=[1e-9, 1.0]))
    assert all(radius <= 0.2273 for radius in found.values()), found


def test_counts_and_prices_do_not_rest_on_it_either() -> None:
    model = one_layer([[1.0, 0, 0], [-1e-8, 0, 0]], [0.0, 20.0], -19.0, [-1.0, -0.3, -0.3], -0.5)
    x = torch.tensor([[1.0, 0, 0]])
    box = Box([-math.inf, -1, -1], [math.inf, 1, 1])
    for threat in (L0(), Patch(1)):
        assert all(radius == 0 for radius in radii(model, x, threat, box).values())
    found = radii(model, x, Lp(2, cost=[1e-9, 1, 1]), box)
    assert all(radius <= 0.051 for radius in found.values()), found


def test_a_flat_floor_just_below_zero_is_no_proof() -> None:
    """Between -1 and 1 the exact margin is -6e-6, and 700 less 700 in float32."""
    net = ConvexMLP(1, (2, 2), passthrough=False)
    net.load_state_dict(
        {
            "input_layers.0.weight": torch.tensor([[1.0], [-1.0]]),
            "input_layers.0.bias": torch.tensor([-1.0, -1.0]),
            "hidden_layers.0.parametrizations.weight.original": torch.ones(2, 2),
            "hidden_layers.0.bias": torch.tensor([1000.0, 0.0]),
            "hidden_layers.1.parametrizations.weight.original": torch.tensor([[0.7, 0.3]]),
            "hidden_layers.1.bias": torch.tensor([0.0]),
        }
    )
    model = FeatureConvexModel(Identity(), net, -699.999994).eval()
    x = torch.tensor([[0.0], [3.0], [-30.0]])
    for level in (*LEVELS, "closed-form"):
        radius = certify(model, x, Lp(2), level=level).radius
        assert (radius <= np.array([0.0, 2.0001, 29.0001])).all(), level
        assert (radius[1:] > np.array([1.99, 28.9])).all()


def test_maps_that_sort_keep_what_borders_prove() -> None:
    torch.manual_seed(0)
    phi = Compose(NonexpansiveLinear(3, 4), MaxMin())
    model = FeatureConvexModel(phi, ConvexMLP(4, (5,)), 5.0).eval()
    x = torch.rand(4, 3)
    assert (certify(model, x, Lp(2), Box(0, 1), "domain").radius == math.inf).all()


def cancelling(far: float) -> tuple[FeatureConvexModel, torch.Tensor, Box]:
    """``relu(3 a + 3) / 3 - a - 0.6 (b + c)``: flat in ``a`` as computed, with slope -5.5e-17 in truth."""
    net = ConvexMLP(3, (1,)).double()
    numbers = {
        "input_layers.0.weight": [[3.0, 0.0, 0.0]],
        "input_layers.0.bias": [3.0],
        "input_layers.1.weight": [[-1.0, -0.6, -0.6]],
        "hidden_layers.0.parametrizations.weight.original": [[1 / 3]],
        "hidden_layers.0.bias": [0.0],
    }
    net.load_state_dict(
        {name: torch.tensor(own, dtype=torch.float64) for name, own in numbers.items()}
    )
    model = FeatureConvexModel(Identity(), net)
    return model, torch.tensor([[1.0, 0.0, 0.0]]).double(), Box(0, [far, 1.0, 1.0])


def kinked(far: float) -> tuple[FeatureConvexModel, torch.Tensor, Box]:
    """``3 a / 3 - |a| - 0.6 (b + c) + 1``, with the same slope for ``a > 0``."""
    net = MaxAffine(6, 1).double()
    weight = torch.tensor([[1 / 3, -0.6, -0.6, -1, 0, 0]], dtype=torch.float64)
    with torch.no_grad():
        net.affine.weight.copy_(weight)
        net.affine.bias.fill_(1.0)
    phi = Compose(AbsConcat(), Scale([3.0, 1, 1, 1, 1, 1]))
    return (
        FeatureConvexModel(phi, net),
        torch.tensor([[1.0, 0.0, 0.0]]).double(),
        Box(0, [far, 1, 1]),
    )


@pytest.mark.parametrize("make", [cancelling, kinked])
@pytest.mark.parametrize("far", [1e17, 1e30, 1e200])
@pytest.mark.parametrize("threat", [L0(), L0([0, 0, 1]), Patch(1)], ids=repr)
def test_counts_in_a_large_box_see_what_cancels(threat: Threat, far: float, make: Any) -> None:
    """One coordinate alone, moved to its border, takes everything."""
    model, x, box = make(far)
    assert set(radii(model, x, threat, box).values()) == {0.0}


@pytest.mark.parametrize("make", [cancelling, kinked])
@pytest.mark.parametrize(
    "threat", [Lp(1, PRICES), Lp(2, PRICES), Lp(math.inf, PRICES), Edits(PRICES)]
)
def test_prices_of_many_orders_see_what_cancels(threat: Threat, make: Any) -> None:
    """The cheap coordinate flips the decision at 1.8e16, for 0.18."""
    model, x, box = make(1e20)
    found = radii(model, x, threat, box)
    assert all(radius <= 0.181 for radius in found.values()), found
    if threat.exponent in (1, 2):
        assert found["domain"] > 0.005
