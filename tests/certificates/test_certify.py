"""Whole arrays: batches, dtypes, several threats, statuses, and clear refusals."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from featureconvex import FeatureConvexModel, Lp, Status, UserError, certify
from featureconvex.features import AbsConcat, Compose, Identity, Scale
from featureconvex.nn import ConvexMLP, MaxAffine
from featureconvex.testing import balanced, grid

X = grid((37, 3), 2**-8, seed=70)


def model() -> FeatureConvexModel:
    return balanced(FeatureConvexModel(AbsConcat(), ConvexMLP(6, (8, 5), batch_norm=True)), X)


def line(weight: float = 1.0, bias: float = 0.0) -> FeatureConvexModel:
    """margin = weight * x + bias, in float64."""
    net = MaxAffine(1, 1).double()
    net.affine.weight.data.fill_(weight)
    net.affine.bias.data.fill_(bias)
    return FeatureConvexModel(Identity(), net)


@pytest.mark.parametrize("batch_size", [1, 2, 7, 36, 37, 1000])
def test_the_batch_size_changes_nothing(batch_size: int) -> None:
    m = model()
    whole, parts = certify(m, X), certify(m, X, batch_size=batch_size)
    np.testing.assert_allclose(parts.radius, whole.radius, rtol=1e-5)
    assert parts.status.tolist() == whole.status.tolist()
    assert len(parts) == len(X)


def test_memory_is_bounded_for_any_number_of_rows() -> None:
    """No batch holds more numbers than one large image batch does."""
    seen: list[int] = []

    class Watched(Identity):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(len(x))
            return x

        def lipschitz(self, p: float, s: float | None = None) -> float:
            return super().lipschitz(p)

        def pullback(self, v: Tensor) -> Tensor:
            return v

    m = FeatureConvexModel(Watched(), MaxAffine(1000, 2))
    rows = np.broadcast_to(np.float32(0.5), (3000, 1000)).copy()
    certify(m, rows)  # tries the model out
    seen.clear()
    cert = certify(m, rows)
    assert len(cert) == sum(seen) == 3000
    assert max(seen) * 1000 <= 2**20


def test_a_list_of_threats_gives_a_list_from_one_pass() -> None:
    calls = []

    class Counted(AbsConcat):
        def forward(self, x: Tensor) -> Tensor:
            calls.append(len(x))
            return super().forward(x)

        def lipschitz(self, p: float, s: float | None = None) -> float:
            return super().lipschitz(p)

        def sensitivity(self, v: Tensor, p: float, cost: Tensor | None = None) -> Tensor:
            return super().sensitivity(v, p, cost)

    m = FeatureConvexModel(Counted(), ConvexMLP(6, (4,)), tau=1.0)
    threats = [Lp(1), Lp(2), Lp(math.inf), Lp(1.5, [1.0, 2.0, 3.0])]
    certify(m, X)  # tries the model out
    calls.clear()
    together = certify(m, X, threats)
    assert calls == [len(X)]
    assert isinstance(together, list)
    for threat, cert in zip(threats, together, strict=True):
        assert cert.threat is threat
        np.testing.assert_array_equal(cert.radius, certify(m, X, threat).radius)
    assert isinstance(certify(m, X, threats[:1]), list)
    assert certify(m, X).threat.name == "l2"
    assert certify(m, X, []) == []


@pytest.mark.parametrize(
    "convert", [torch.Tensor.float, torch.Tensor.double, torch.Tensor.numpy, lambda x: x.half()]
)
def test_any_array_of_numbers_is_taken(convert: Any) -> None:
    m = model()
    expected = certify(m, X.float()).radius
    np.testing.assert_allclose(certify(m, convert(X)).radius, expected, rtol=1e-2)


def test_integers_are_taken() -> None:
    pixels = np.array([[3, 250], [0, 7]], dtype=np.uint8)
    m = FeatureConvexModel(Scale(1 / 255), MaxAffine(2, 3), tau=3.0)
    expected = certify(m, pixels.astype(np.float32)).radius
    np.testing.assert_array_equal(certify(m, pixels).radius, expected)


@pytest.mark.parametrize("shape", [(0, 3), (1, 3)])
def test_few_rows(shape: tuple[int, int]) -> None:
    cert = certify(model(), torch.zeros(shape))
    assert len(cert) == shape[0]
    assert cert.radius.shape == cert.status.shape == (shape[0],)


def test_float32_and_float64_models_agree() -> None:
    m = model()
    narrow = certify(m, X).radius
    wide = certify(m.double(), X).radius
    np.testing.assert_allclose(narrow, wide, rtol=1e-4)


def test_each_status_on_a_line() -> None:
    x = torch.tensor([[2.0], [-1.0], [0.0], [-0.0], [math.nan], [math.inf], [-math.inf]]).double()
    cert = certify(line(), x, Lp(1))
    assert cert.status.tolist() == [
        "certified",
        "not_sensitive",
        "boundary",
        "boundary",
        "non_finite",
        "non_finite",
        "non_finite",
    ]
    assert cert.radius[0] == pytest.approx(2.0, rel=1e-11)
    assert cert.radius[0] <= 2.0
    assert (cert.radius[1:] == 0).all()


def test_the_smallest_margins_are_told_apart_from_ties() -> None:
    tiny = float(np.nextafter(0.0, 1.0))
    cert = certify(line(), torch.tensor([[1e-300], [tiny], [-tiny]], dtype=torch.float64))
    assert cert.status.tolist() == ["certified", "certified", "not_sensitive"]
    assert cert.radius[0] == pytest.approx(1e-300)


def test_a_flat_network_is_unbounded_only_above_zero() -> None:
    for bias, status in ((1.0, "unbounded"), (0.0, "boundary"), (-1.0, "not_sensitive")):
        cert = certify(line(0.0, bias), torch.zeros(1, 1).double())
        assert cert.status[0] == status
        assert cert.radius[0] == (math.inf if bias > 0 else 0.0)


def test_an_immutable_gradient_is_unbounded() -> None:
    """All of the slope lies on a coordinate that cannot change."""
    net = MaxAffine(2, 1).double()
    net.affine.weight.data = torch.tensor([[1.0, 0.0]]).double()
    net.affine.bias.data.fill_(1.0)
    m = FeatureConvexModel(Identity(), net)
    x = torch.zeros(1, 2).double()
    assert certify(m, x, Lp(2, [math.inf, 1.0])).status[0] == Status.unbounded
    assert certify(m, x, Lp(2, [1.0, math.inf])).status[0] is Status.certified


def test_overflow_is_said() -> None:
    """float32 overflows inside the network: no number, no claim."""
    net = ConvexMLP(1, (2, 2))
    with torch.no_grad():
        for raw in net.parameters():
            raw.fill_(1e30)
    cert = certify(FeatureConvexModel(Identity(), net), torch.ones(1, 1))
    assert cert.status[0] == Status.non_finite
    assert cert.radius[0] == 0


def test_one_bad_row_does_not_spoil_its_batch() -> None:
    m = model()
    x = X.clone()
    x[5, 1] = math.nan
    good = np.arange(len(x)) != 5
    found, expected = certify(m, x), certify(m, X)
    np.testing.assert_array_equal(found.radius[good], expected.radius[good])
    assert found.status[5] == Status.non_finite


def test_ties_of_a_real_network() -> None:
    m = model().double()
    with torch.no_grad():
        m.tau.fill_(-float(m.eval().logits(X)[3]))
    cert = certify(m, X)
    assert cert.margin[3] == 0.0
    assert cert.status[3] == Status.boundary
    assert cert.radius[3] == 0.0


def test_modes_and_gradients_are_left_as_they_were() -> None:
    m = model().train()
    m.convex_net.norms[0].eval()  # type: ignore[index,union-attr]
    modes = [part.training for part in m.modules()]
    with torch.no_grad():
        certify(m, X)
    assert [part.training for part in m.modules()] == modes
    assert all(raw.grad is None for raw in m.parameters())


def test_works_without_gradients_and_with_frozen_weights() -> None:
    m = model()
    expected = certify(m, X).radius
    with torch.inference_mode(False), torch.no_grad():
        np.testing.assert_array_equal(certify(m.requires_grad_(False), X).radius, expected)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"level": "magic"}, "unknown level 'magic'"),
        ({"x": torch.zeros(2, 4)}, "expected 6 features per row, got 8"),
        ({"threat": Lp(2, [1.0, 2.0])}, "cost of shape"),
    ],
)
def test_refusals_name_the_problem(arguments: dict[str, Any], word: str) -> None:
    with pytest.raises(UserError, match=word):
        certify(model(), **{"x": X, **arguments})


def test_composition_in_raw_units() -> None:
    """Scaling inside the model keeps the radius in the caller's units: 255 times larger."""
    m = FeatureConvexModel(Compose(Scale(1 / 255), AbsConcat()), ConvexMLP(6, (4,)), tau=2.0)
    unit = FeatureConvexModel(AbsConcat(), m.convex_net, tau=2.0)
    x = X.abs().clamp(0, 1)
    for p in (1, 2, math.inf):
        raw, one = (
            certify(m.double(), 255 * x, Lp(p)).radius,
            certify(unit.double(), x, Lp(p)).radius,
        )
        np.testing.assert_allclose(raw, 255 * one, rtol=1e-9)


def test_a_module_of_the_user_needs_no_parameters() -> None:
    m = FeatureConvexModel(Identity(), nn.Sequential(nn.ReLU(), nn.Flatten(0)), tau=1.0)
    cert = certify(m, torch.tensor([[1.0], [-2.0]]))
    assert cert.radius.tolist() == [pytest.approx(2.0), math.inf]
