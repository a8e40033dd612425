"""The classifier: its threshold, its dtype, and what it refuses to be made of."""

import copy
import io
import math
from typing import Any

import pytest
import torch
from torch import nn

from featureconvex import ConvexityError, FeatureConvexModel, MultiClassModel, UserError, certify
from featureconvex.features import AbsConcat, Center, Compose, Identity
from featureconvex.nn import ConvexMLP, MaxAffine, NonNegativeLinear


def model(tau: float = 0.25) -> FeatureConvexModel:
    return FeatureConvexModel(Compose(Center(0.5), AbsConcat()), ConvexMLP(6, (4,)), tau)


def test_margins_are_logits_plus_threshold_in_float64() -> None:
    m, x = model(), torch.randn(5, 3)
    assert m(x).dtype == torch.float64
    assert m.logits(x).dtype == torch.float32
    torch.testing.assert_close(m(x), m.logits(x).double() + 0.25, rtol=0, atol=0)


@pytest.mark.parametrize("cast", ["half", "float", "double", "bfloat16"])
def test_the_threshold_is_not_rounded_by_a_cast(cast: str) -> None:
    tau = 0.1 + 1e-12
    m = getattr(model(tau), cast)()
    assert m.tau.dtype == torch.float64
    assert float(m.tau) == tau
    assert m.dtype == m.convex_net.input_layers[0].weight.dtype
    # Inside another module as well.
    assert float(getattr(nn.Sequential(model(tau)), cast)()[0].tau) == tau


def test_the_threshold_survives_saving_and_copying() -> None:
    tau = math.pi
    m, other = model(tau), model(0.0)
    buffer = io.BytesIO()
    torch.save(m.state_dict(), buffer)
    buffer.seek(0)
    other.load_state_dict(torch.load(buffer, weights_only=True))
    assert float(other.tau) == tau
    x = torch.randn(4, 3)
    assert torch.equal(other(x), m(x))
    assert torch.equal(copy.deepcopy(m)(x), m(x))


def test_calibration_may_set_the_threshold() -> None:
    m = model()
    m.tau.fill_(2.0)
    m.tau = torch.tensor(3.0, dtype=torch.float64)
    assert float(m.tau) == 3.0


@pytest.mark.parametrize("bad", [nn.Identity(), None, "identity", Identity])
def test_a_feature_map_must_be_one(bad: Any) -> None:
    with pytest.raises(UserError, match="FeatureMap"):
        FeatureConvexModel(bad, MaxAffine(2))
    built = FeatureConvexModel(Identity(), MaxAffine(2))
    with pytest.raises(UserError, match="FeatureMap"):
        built.feature_map = bad
    assert isinstance(built.feature_map, Identity)


@pytest.mark.parametrize(
    "bad", [nn.Tanh(), nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1)), None]
)
def test_a_network_must_be_convex_also_when_it_is_replaced(bad: Any) -> None:
    with pytest.raises(ConvexityError):
        FeatureConvexModel(Identity(), bad)
    built = FeatureConvexModel(Identity(), MaxAffine(2))
    with pytest.raises(ConvexityError):
        built.convex_net = bad
    assert isinstance(built.convex_net, MaxAffine)
    built.convex_net = ConvexMLP(2, (3,))
    assert built(torch.zeros(1, 2)).shape == (1,)


def hooked(part: nn.Module) -> None:
    part.register_forward_hook(lambda *call: 2 * call[2])


def patched(part: nn.Module) -> None:
    part.forward = lambda x: 2 * x


@pytest.mark.parametrize(
    ("change", "words"), [(hooked, "a forward hook"), (patched, "a replaced forward method")]
)
def test_a_feature_map_changed_from_outside_is_refused(change: Any, words: str) -> None:
    """Its stated constant would be another map's."""
    m = model()
    m.prove()
    assert isinstance(m.feature_map, Compose)
    change(m.feature_map.parts()[0])
    with pytest.raises(ConvexityError, match=f"Center .* has {words}"):
        m.prove()
    with pytest.raises(ConvexityError, match=f"Center .* has {words}"):
        certify(m, torch.randn(2, 3))


def test_one_number_per_row_is_demanded() -> None:
    """(n, 1) against (n,) would broadcast to (n, n)."""
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), NonNegativeLinear(4, 1))
    m = FeatureConvexModel(Identity(), net, tau=5.0)
    for n in (1, 3):
        with pytest.raises(UserError, match=r"nn\.Flatten\(0\)"):
            m(torch.randn(n, 3))
        with pytest.raises(UserError, match=r"nn\.Flatten\(0\)"):
            certify(m, torch.randn(n, 3))
    good = FeatureConvexModel(Identity(), nn.Sequential(*net, nn.Flatten(0)), tau=5.0)
    assert len(certify(good, torch.randn(3, 3))) == 3


@pytest.mark.parametrize("classes", [1, 3])
def test_inputs_of_another_precision_are_refused_by_name(classes: int) -> None:
    nets = [ConvexMLP(2, (3,)) for _ in range(classes)]
    model: torch.nn.Module = FeatureConvexModel(Identity(), nets[0])
    if classes > 1:
        model = MultiClassModel(Identity(), nets)
    model.double()
    with pytest.raises(
        UserError, match=r"computes in torch.float64 and got torch.float32; .*\.float\(\)"
    ):
        model(torch.zeros(1, 2))
    assert model(torch.zeros(1, 2, dtype=torch.float64)).isfinite().all()


def test_an_error_of_the_network_itself_stays_what_it_is() -> None:
    class Fails(MaxAffine):
        def forward(self, u: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("of its own")

    model = FeatureConvexModel(Identity(), MaxAffine(2, 1))
    model.convex_net.forward = Fails(2, 1).forward
    with pytest.raises(RuntimeError, match="of its own"):
        model(torch.zeros(1, 2))
