"""Activations against finite differences on a fine grid."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from featureconvex import ConvexityError
from featureconvex.nn import Softplus
from featureconvex.nn.activations import activation, activation_name, check_activation

ACCEPTED = (
    "relu",
    "leaky_relu",
    "leaky_relu:0",
    "leaky_relu:1",
    "elu",
    "elu:0",
    "elu:0.3",
    "celu",
    "celu:0.2",
    "celu:7",
    "softplus",
    "softplus:0.1",
    "softplus:50",
    "identity",
)
# Exact steps, past the place where torch's own softplus switches branch.
STEP = 2**-10
GRID = torch.arange(-40 * 1024, 40 * 1024 + 1, dtype=torch.float64) * STEP


@pytest.mark.parametrize("spec", ACCEPTED)
def test_accepted_activations_are_convex_and_nondecreasing(spec: str) -> None:
    values = activation(spec)(GRID)
    slope = values.diff() / STEP
    assert (slope >= -1e-9).all()
    assert (slope.diff() >= -1e-9).all()
    assert torch.isfinite(values).all()


@pytest.mark.parametrize("spec", ACCEPTED)
def test_the_gradient_is_a_subgradient_at_kinks(spec: str) -> None:
    x = torch.tensor([0.0, -0.0, 1e-300, -1e-300], dtype=torch.float64, requires_grad=True)
    act = activation(spec)
    (slope,) = torch.autograd.grad(act(x).sum(), x)
    left = (act(torch.zeros(())) - act(torch.tensor(-1e-4))) / 1e-4
    right = (act(torch.tensor(1e-4)) - act(torch.zeros(()))) / 1e-4
    assert (slope >= left - 1e-2).all()
    assert (slope <= right + 1e-2).all()


@given(
    beta=st.floats(1e-3, 1e3),
    x=st.floats(-1e4, 1e4, allow_subnormal=False),
)
def test_softplus_is_its_formula(beta: float, x: float) -> None:
    found = float(Softplus(beta)(torch.tensor(x, dtype=torch.float64)))
    h = beta * x
    expected = (max(h, 0.0) + math.log1p(math.exp(-abs(h)))) / beta
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-300)


def test_torchs_softplus_has_the_jump_that_ours_has_not() -> None:
    """The reason for a class of our own: at its threshold torch's version steps down."""
    x = torch.tensor([20.0 - 1e-12, 20.0 + 1e-12], dtype=torch.float64)
    assert float(nn.Softplus()(x).diff()) < 0
    assert float(Softplus()(x).diff()) >= 0
    with pytest.raises(ConvexityError, match="torch's version"):
        check_activation(nn.Softplus())


@pytest.mark.parametrize("spec", ACCEPTED)
def test_names_come_back(spec: str) -> None:
    act = activation(spec)
    again = activation(activation_name(act))
    assert torch.equal(again(GRID), act(GRID))


@pytest.mark.parametrize(
    "bad",
    [
        nn.Tanh(),
        nn.Sigmoid(),
        nn.GELU(),
        nn.SiLU(),
        nn.Hardtanh(),
        nn.ReLU6(),
        nn.PReLU(),
        nn.LeakyReLU(1.01),
        nn.LeakyReLU(-1e-9),
        nn.LeakyReLU(math.nan),
        nn.ELU(1.01),
        nn.ELU(-0.5),
        nn.CELU(-1.0),
    ],
    ids=repr,
)
def test_others_are_refused(bad: nn.Module) -> None:
    with pytest.raises(ConvexityError, match="not convex and nondecreasing"):
        activation(bad)


@pytest.mark.parametrize("bad", ["tanh", "", "relu:2", "elu:x", "leaky_relu:2", "softplus:-1"])
def test_bad_names_are_refused(bad: str) -> None:
    with pytest.raises(ConvexityError):
        activation(bad)


@pytest.mark.parametrize("beta", [0.0, -1.0, math.nan, math.inf])
def test_softplus_refuses_a_bad_beta_at_once_and_later(beta: float) -> None:
    with pytest.raises(ConvexityError, match="beta"):
        Softplus(beta)
    late = Softplus(1.0)
    late.beta = beta
    with pytest.raises(ConvexityError):
        check_activation(late)


def test_a_subclass_is_not_taken_for_its_parent() -> None:
    class Down(nn.ReLU):
        def forward(self, x: Tensor) -> Tensor:
            return -super().forward(x)

    with pytest.raises(ConvexityError):
        check_activation(Down())
