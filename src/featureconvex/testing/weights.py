"""Weights, points and rounding for laws about networks."""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from featureconvex.testing.law import seeded

# Scales of the raw parameters a law is tried at; None leaves the network as it was built.
WEIGHT_SCALES: tuple[float | None, ...] = (None, 1.0, 1e3, 1e-3, 0.0)
# How many units in the last place of its largest intermediate result a network may be off.
ULPS = 64.0


@torch.no_grad()
def drawn(net: nn.Module, scale: float | None, seed: int = 1) -> nn.Module:
    """A float64 copy in eval mode whose raw parameters are normal with the given scale.

    Raw parameters take either sign: what is held nonnegative must be so by construction. Running
    means and variances of batch norms are drawn as well.
    """
    net = copy.deepcopy(net).double().eval()
    if scale is None:
        return net
    with seeded(seed):
        for raw in net.parameters():
            raw.normal_(0.0, 1.0).mul_(scale)
        for name, buffer in net.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_()
            elif name.endswith("running_var"):
                buffer.exponential_().add_(0.1)
    return net


def grid(shape: tuple[int, ...], step: float, seed: int) -> Tensor:
    """Normal numbers rounded to multiples of ``step``, float64: sums of a few of them are exact."""
    with seeded(seed):
        return (torch.randn(shape, dtype=torch.float64) / step).round() * step


@dataclass(frozen=True)
class Answers:
    """What a network computed in one dtype, and how far that may be off."""

    dtype: torch.dtype
    values: Tensor
    slack: float


@torch.no_grad()
def answers(net: nn.Module, u: Tensor) -> tuple[Answers, Answers]:
    """``net(u)`` in float64 and in float32 (as float64 numbers); ``net`` and ``u`` are in float64.

    The rounding is measured, not guessed: what float32 loses against float64 is the size of the
    intermediate results times float32's unit roundoff, cancellation included.
    """
    exact = net(u)
    narrow = copy.deepcopy(net).float()(u.float()).double()
    lost, largest = (narrow - exact).abs(), float(exact.abs().max())
    # Where float32 overflows, nothing was measured: allow for 1000 times the result instead.
    finite = bool(torch.isfinite(lost).all())
    size = float(lost.max()) / torch.finfo(torch.float32).eps if finite else 1e3 * largest
    size = ULPS * max(size, largest)
    return (
        Answers(torch.float64, exact, size * torch.finfo(torch.float64).eps),
        Answers(torch.float32, narrow, size * torch.finfo(torch.float32).eps),
    )


def value_and_gradient(net: nn.Module, u: Tensor) -> tuple[Tensor, Tensor]:
    """``g(u)`` (n,) and the gradient of each row's value with respect to that row, (n, ...)."""
    u = u.detach().clone().requires_grad_()
    g = net(u)
    (v,) = torch.autograd.grad(g.sum(), u)
    return g.detach(), v
