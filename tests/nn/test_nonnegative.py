"""Attempts to get a negative weight onto a convex path: each fails, or is refused."""

import copy
import io
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from featureconvex import ConvexityError, FeatureConvexModel, certify
from featureconvex.features import Identity
from featureconvex.models.frozen import in_precision
from featureconvex.nn import (
    ConvexConvNet,
    ConvexMLP,
    MonotoneBatchNorm1d,
    MonotoneBatchNorm2d,
    NonNegative,
    NonNegativeConv2d,
    NonNegativeLinear,
    project_,
    prove_convex,
)
from featureconvex.nn.constraint import constrained_parameters
from featureconvex.nn.nonnegative import SMALLEST_SCALE, constrain_
from featureconvex.testing import check_convex_on_lines

LAYERS: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: NonNegativeLinear(3, 2),
    "conv": lambda: NonNegativeConv2d(2, 3, 3, padding=1),
    "norm1": lambda: MonotoneBatchNorm1d(3),
    "norm2": lambda: MonotoneBatchNorm2d(3),
}
each_layer = pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)


def weight(layer: Any) -> Tensor:
    value: Tensor = layer.weight
    return value


def raw(layer: Any) -> Tensor:
    value: Tensor = layer.parametrizations.weight.original
    return value


def least(layer: nn.Module) -> float:
    return SMALLEST_SCALE if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) else 0.0


@each_layer
@pytest.mark.parametrize("bad", [-1.0, -1e-30, math.nan, math.inf])
@pytest.mark.parametrize("wrap", [lambda w: w, nn.Parameter], ids=["tensor", "parameter"])
def test_assigning_a_bad_weight_is_refused(
    make: Callable[[], nn.Module], bad: float, wrap: Callable[[Tensor], Tensor]
) -> None:
    layer = make()
    before = weight(layer).detach().clone()
    with pytest.raises(ConvexityError, match="needs finite weights >= "):
        layer.weight = wrap(torch.full_like(before, bad))
    assert torch.equal(weight(layer), before)


@each_layer
@pytest.mark.parametrize("wrap", [lambda w: w, nn.Parameter], ids=["tensor", "parameter"])
def test_assigning_a_good_weight_keeps_it_bit_for_bit(
    make: Callable[[], nn.Module], wrap: Callable[[Tensor], Tensor]
) -> None:
    layer = make()
    good = torch.rand_like(weight(layer)) + 0.01
    layer.weight = wrap(good)
    assert torch.equal(weight(layer), good)
    assert [name for name, _ in layer.named_parameters()].count("parametrizations.weight.original")


@each_layer
def test_assigning_no_tensor_is_refused(make: Callable[[], nn.Module]) -> None:
    with pytest.raises(ConvexityError, match="needs a tensor"):
        setattr(make(), "weight", None)  # noqa: B010


@each_layer
def test_negative_raw_numbers_are_clamped(make: Callable[[], nn.Module]) -> None:
    layer = make()
    raw(layer).data.fill_(-5.0)
    assert (weight(layer) == torch.tensor(least(layer))).all()
    state = {key: torch.full_like(value, -3) for key, value in layer.state_dict().items()}
    layer.load_state_dict(state)
    assert (weight(layer) >= least(layer)).all()
    layer.load_state_dict(state, assign=True)
    assert (weight(layer) >= least(layer)).all()


@each_layer
def test_in_place_edits_of_the_weight_do_not_reach_the_forward_pass(
    make: Callable[[], nn.Module],
) -> None:
    layer = make()
    before = weight(layer).detach().clone()
    weight(layer).data.fill_(-1.0)
    with torch.no_grad():
        weight(layer).sub_(10.0)
    nn.init.constant_(weight(layer), -1.0)
    assert torch.equal(weight(layer), before)


@each_layer
def test_an_edit_inside_the_cache_is_seen_by_the_proof(make: Callable[[], nn.Module]) -> None:
    layer = make()
    with parametrize.cached():
        weight(layer).data.fill_(-1.0)
        with pytest.raises(ConvexityError, match="removed or altered"):
            prove_convex(layer)
    prove_convex(layer)


@each_layer
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_every_dtype_stays_inside_and_can_be_assigned_to_itself(
    make: Callable[[], nn.Module], dtype: torch.dtype
) -> None:
    layer = make().to(dtype)
    raw(layer).data.fill_(-1.0)
    bottom = torch.tensor(least(layer), dtype=dtype)
    assert (weight(layer) == bottom).all()
    layer.weight = weight(layer).detach()
    prove_convex(layer)


@each_layer
def test_a_deep_copy_keeps_the_constraint(make: Callable[[], nn.Module]) -> None:
    copied = copy.deepcopy(make())
    raw(copied).data.fill_(-1.0)
    assert (weight(copied) >= least(copied)).all()
    prove_convex(copied)
    with pytest.raises(ConvexityError):
        copied.weight = -torch.ones_like(weight(copied))


def test_the_weight_cannot_be_deleted() -> None:
    layer = NonNegativeLinear(2, 1)
    with pytest.raises(AttributeError):
        del layer.weight


def test_a_saved_state_dict_comes_back_bit_for_bit() -> None:
    net, other = ConvexMLP(4, (5, 3), batch_norm=True), ConvexMLP(4, (5, 3), batch_norm=True)
    buffer = io.BytesIO()
    torch.save(net.state_dict(), buffer)
    buffer.seek(0)
    other.load_state_dict(torch.load(buffer, weights_only=True))
    u = torch.randn(7, 4)
    assert torch.equal(net.eval()(u), other.eval()(u))


def test_a_plain_weight_in_a_state_dict_is_not_mistaken_for_the_raw_one() -> None:
    layer = NonNegativeLinear(2, 1)
    with pytest.raises(RuntimeError, match=r"parametrizations\.weight\.original"):
        layer.load_state_dict({"weight": -torch.ones(1, 2), "bias": torch.zeros(1)})


@pytest.mark.parametrize("learning_rate", [0.1, 1e3])
@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam])
@pytest.mark.parametrize("project", [False, True])
def test_optimiser_steps_cannot_leave_the_set(
    kind: type[torch.optim.Optimizer], learning_rate: float, project: bool
) -> None:
    net = ConvexMLP(4, (6, 5), batch_norm=True)
    optimiser = kind(net.parameters(), lr=learning_rate)  # type: ignore[call-arg]
    for _ in range(4):
        optimiser.zero_grad()
        net(torch.randn(16, 4)).sum().backward()
        optimiser.step()
        if project:
            project_(net)
            held: Any = list(constrained_parameters(net))
            assert not any((r < c.minimum).any() for r, c in held)
        # Training that diverges gives NaN, never a negative number.
        assert not any((weight(layer) < 0).any() for layer in net.hidden_layers)
        assert not any((weight(norm) < SMALLEST_SCALE).any() for norm in net.norms)
    prove_convex(net)


def test_projection_makes_the_raw_weight_the_weight() -> None:
    layer = NonNegativeLinear(3, 2)
    raw(layer).data.uniform_(-1, 1)
    expected = raw(layer).clamp_min(0).detach().clone()
    project_(layer)
    assert torch.equal(raw(layer), expected)


# Ways around the parametrisation. None changes what was proved without the proof noticing.


class Negate(nn.Module):
    def forward(self, w: Tensor) -> Tensor:
        return -w.abs() - 1


class LooksNonNegative(NonNegative):
    def forward(self, w: Tensor) -> Tensor:
        return -w.abs() - 1


class Overridden(NonNegativeLinear):
    def forward(self, x: Tensor) -> Tensor:
        return -super().forward(x)


def first_hidden(net: ConvexMLP) -> Any:
    return net.hidden_layers[0]


def flipped(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
    return -output


def removed(net: ConvexMLP) -> None:
    parametrize.remove_parametrizations(first_hidden(net), "weight")
    first_hidden(net).weight.data.fill_(-1.0)


def removed_and_positive(net: ConvexMLP) -> None:
    parametrize.remove_parametrizations(first_hidden(net), "weight")


def negated(net: ConvexMLP) -> None:
    parametrize.register_parametrization(first_hidden(net), "weight", Negate(), unsafe=True)


def swapped(net: ConvexMLP) -> None:
    first_hidden(net).parametrizations.weight[0] = Negate()


def impersonated(net: ConvexMLP) -> None:
    first_hidden(net).parametrizations.weight[0] = LooksNonNegative()


def lowered(net: ConvexMLP) -> None:
    first_hidden(net).parametrizations.weight[0].minimum = -1.0


def patched_constraint(net: ConvexMLP) -> None:
    first_hidden(net).parametrizations.weight[0].forward = lambda w: -w.abs()


def hooked_constraint(net: ConvexMLP) -> None:
    chain = first_hidden(net).parametrizations.weight
    chain.register_forward_hook(flipped)


def plain_linear(net: ConvexMLP) -> None:
    net.hidden_layers[0] = nn.Linear(5, 3)


def overridden_linear(net: ConvexMLP) -> None:
    net.hidden_layers[0] = Overridden(5, 3)


def tanh(net: ConvexMLP) -> None:
    net.activation = nn.Tanh()


def steep_leak(net: ConvexMLP) -> None:
    net.activation = nn.LeakyReLU(0.1)
    net.activation.negative_slope = 2.0


def negative_softplus(net: ConvexMLP) -> None:
    from featureconvex.nn import Softplus

    net.activation = Softplus(1.0)
    net.activation.beta = -1.0


def plain_norm(net: ConvexMLP) -> None:
    net.norms[0] = nn.BatchNorm1d(1)


def batch_statistics(net: ConvexMLP) -> None:
    norm: Any = net.norms[0]
    norm.running_mean = norm.running_var = None


def patched_forward(net: ConvexMLP) -> None:
    net.forward = lambda u: -(u**2).sum(1)  # type: ignore[method-assign]


def hooked_forward(net: ConvexMLP) -> None:
    net.hidden_layers[1].register_forward_hook(flipped)


def hooked_input(net: ConvexMLP) -> None:
    net.activation.register_forward_pre_hook(lambda _, inputs: (-inputs[0],))


WAYS = (
    removed,
    removed_and_positive,
    negated,
    swapped,
    impersonated,
    lowered,
    patched_constraint,
    hooked_constraint,
    plain_linear,
    overridden_linear,
    tanh,
    steep_leak,
    negative_softplus,
    plain_norm,
    batch_statistics,
    patched_forward,
    hooked_forward,
    hooked_input,
)


@pytest.mark.parametrize("tamper", WAYS, ids=lambda way: way.__name__)
def test_a_tampered_network_is_refused_when_built_and_when_certified(
    tamper: Callable[[ConvexMLP], None],
) -> None:
    net = ConvexMLP(4, (5, 3), batch_norm=True)
    model = FeatureConvexModel(Identity(), net)
    certify(model, torch.randn(2, 4))
    tamper(net)
    with pytest.raises(ConvexityError):
        prove_convex(net)
    with pytest.raises(ConvexityError):
        certify(model, torch.randn(2, 4))
    with pytest.raises(ConvexityError):
        FeatureConvexModel(Identity(), net)


def test_the_convnets_constraints_are_checked_too() -> None:
    net = ConvexConvNet(1, 4, features=2, depth=2)
    parametrize.remove_parametrizations(net.blocks[1].conv, "weight")  # type: ignore[arg-type]
    with pytest.raises(ConvexityError, match="NonNegativeConv2d"):
        prove_convex(net)


def test_chained_parametrisations_are_fine_when_the_last_is_nonnegative() -> None:
    layer = nn.Linear(3, 1)
    parametrize.register_parametrization(layer, "weight", Negate(), unsafe=True)
    constrain_(layer)
    assert (layer.weight >= 0).all()


def test_a_negative_minimum_is_refused() -> None:
    with pytest.raises(ConvexityError, match=">= 0"):
        NonNegative(-1.0)


def test_nan_weights_give_no_proof_of_anything() -> None:
    """A NaN passes the clamp; the certificate says so by status."""
    net = ConvexMLP(3, (4,))
    raw(net.hidden_layers[0]).data.fill_(math.nan)
    cert = certify(FeatureConvexModel(Identity(), net), torch.randn(2, 3))
    assert list(cert.status) == ["non_finite"] * 2
    assert (cert.radius == 0).all()


def test_shapes_and_the_forward_pass_are_torchs_own() -> None:
    layer, x = NonNegativeLinear(3, 2), torch.randn(5, 3)
    torch.testing.assert_close(layer(x), x @ layer.weight.T + layer.bias)
    conv, image = NonNegativeConv2d(2, 3, 3, padding=1), torch.randn(1, 2, 5, 5)
    expected = nn.functional.conv2d(image, conv.weight, conv.bias, padding=1)
    torch.testing.assert_close(conv(image), expected)


def test_convexity_survives_a_hostile_state_dict() -> None:
    net = ConvexMLP(4, (6, 5))
    state = {key: -10 * torch.rand_like(value) for key, value in net.state_dict().items()}
    net.load_state_dict(state)
    check_convex_on_lines(net.double().eval(), (4,))


def test_a_weight_at_the_floor_is_the_same_number_in_another_precision() -> None:
    """0.001 in float32 is not 0.001 in float64, and certificates are about the deployed one."""
    net = ConvexMLP(3, (4, 4), batch_norm=True)
    model = FeatureConvexModel(Identity(), net).eval()
    with torch.no_grad():
        raw(net.norms[1]).fill_(-1.0)
    used = weight(net.norms[1]).double().clone()
    x = torch.randn(20, 3)
    frozen = in_precision(model, torch.float64)
    wide = copy.deepcopy(model).double()
    inner: Any = wide.convex_net
    assert torch.equal(weight(inner.norms[1]), used)
    assert torch.equal(wide(x.double()), frozen(x.double()))
    assert torch.equal(copy.deepcopy(wide).float()(x), model(x))
