"""What a proof about a class covers: all that a call of it looks up."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from featureconvex import ConvexityError
from featureconvex.features import AbsConcat, Center, Compose, Scale, Scattering
from featureconvex.features.scattering import wavelets
from featureconvex.features.scattering.wavelets import WaveletStage
from featureconvex.nn import ConvexConvNet, ConvexMLP, MaxAffine, NonNegativeConv2d, Softplus
from featureconvex.nn.freezing.code import check_unchanged, remember, uses

F = nn.functional
# A class, and what its calls run: an owner and a name.
RUN: list[tuple[type[nn.Module], Any, str]] = [
    (nn.Linear, F, "linear"),
    (nn.Conv2d, F, "conv2d"),
    (NonNegativeConv2d, nn.Conv2d, "_conv_forward"),
    (nn.BatchNorm1d, F, "batch_norm"),
    (nn.BatchNorm2d, torch, "batch_norm"),
    (nn.ReLU, F, "relu"),
    (nn.ReLU, torch, "relu"),
    (nn.LeakyReLU, torch._C._nn, "leaky_relu"),
    (nn.ELU, F, "elu"),
    (nn.CELU, torch, "celu"),
    (nn.MaxPool2d, F, "max_pool2d"),
    (nn.MaxPool2d, torch, "max_pool2d"),
    (nn.AvgPool2d, F, "avg_pool2d"),
    (nn.Flatten, Tensor, "flatten"),
    (Softplus, torch, "logaddexp"),
    (ConvexMLP, Tensor, "flatten"),
    (ConvexConvNet, nn.Module, "__call__"),
    (MaxAffine, Tensor, "amax"),
    (Scale, Tensor, "to"),
    (Center, Scale, "forward"),
    (AbsConcat, torch, "cat"),
    (Compose, nn.Module, "_call_impl"),
    (Scattering, torch, "einsum"),
    (WaveletStage, torch.fft, "ifft2"),
    (WaveletStage, wavelets, "fold"),
]


@pytest.fixture
def _as_before() -> Iterator[None]:
    yield
    for kind, *_ in RUN:
        check_unchanged(kind)


@pytest.mark.usefixtures("_as_before")
@pytest.mark.parametrize(("kind", "owner", "name"), RUN)
def test_a_class_whose_calls_run_something_else_is_refused(
    kind: type[nn.Module], owner: Any, name: str
) -> None:
    check_unchanged(kind)
    before = getattr(owner, name)
    own = name in vars(owner)
    setattr(owner, name, lambda *given, **named: before(*given, **named))
    try:
        with pytest.raises(ConvexityError, match=rf"the {name} .*replaced.*restore it"):
            check_unchanged(kind)
    finally:
        if own:
            setattr(owner, name, before)
        else:
            delattr(owner, name)


def twice(x: Tensor) -> Tensor:
    return 2 * x


def of_itself() -> Callable[[Tensor], Tensor]:
    def again(x: Tensor, left: int = 1) -> Tensor:
        return again(x, left - 1) if left else twice(x)

    return again


class Twice(nn.Module):
    calls = 0
    again = staticmethod(of_itself())

    def forward(self, x: Tensor) -> Tensor:
        return self.again(x)


def test_functions_beside_a_class_of_the_users_own_count(monkeypatch: pytest.MonkeyPatch) -> None:
    remember(Twice)
    Twice.calls = 3  # numbers are no code
    check_unchanged(Twice)
    monkeypatch.setattr(f"{__name__}.twice", torch.sin)
    with pytest.raises(ConvexityError, match=f"the twice of {__name__}, which Twice uses"):
        check_unchanged(Twice)
    remember(Twice)
    check_unchanged(Twice)


def test_a_class_that_nothing_was_proved_about_has_nothing_to_change() -> None:
    assert uses(nn.Tanh) == []
    check_unchanged(nn.Tanh)
