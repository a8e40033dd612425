"""Level 0 against the truth: linear models, max-affine models, brute force, and a real attack."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from featureconvex import Box, FeatureConvexModel, Lp, Status, UserError, certify
from featureconvex.certificates.levels.closed_form import radius
from featureconvex.features import AbsConcat, Center, Compose, FeatureMap, Identity, Scale
from featureconvex.nn import ConvexConvNet, ConvexMLP, MaxAffine
from featureconvex.testing import (
    CERTIFICATE_LAWS,
    CertificateCase,
    Law,
    balanced,
    build,
    grid,
    grid_radius,
    linear_radius,
    max_affine_radius,
)

Array = NDArray[np.float64]
EXPONENTS = (1.0, 1.5, 2.0, 3.0, math.inf)
COST = torch.tensor([0.5, 2.0, math.inf, 1.0], dtype=torch.float64)
X = grid((12, 4), 2**-8, seed=60)
IN_BOX = X.abs().clamp(0, 1)
IMAGES = grid((8, 1, 4, 4), 2**-8, seed=61)

Maker = Callable[[], FeatureConvexModel]


def model(phi: Callable[[], FeatureMap], net: Callable[[], torch.nn.Module], x: Tensor) -> Maker:
    return lambda: balanced(FeatureConvexModel(phi(), net()), x)


def linear(cost: Tensor | None, p: float) -> Callable[[FeatureConvexModel, Tensor], Array]:
    """The truth for ``<w, s x + t> + b + tau``: its gradient in raw units is ``s w``."""

    def truth(m: FeatureConvexModel, x: Tensor) -> Array:
        net, phi = m.convex_net, m.feature_map
        assert isinstance(net, MaxAffine)
        w = net.affine.weight.detach()[0].double()
        if isinstance(phi, Scale):
            w = w * phi.scale
        with torch.no_grad():
            margin = m(x).numpy()
        return linear_radius(w.numpy(), margin, p, 1.0 if cost is None else cost.numpy())

    return truth


def polytope(
    cost: Tensor | None, p: float, box: bool = False
) -> Callable[[FeatureConvexModel, Tensor], Array]:
    """The truth for a maximum of affine functions: an LP or a least-distance problem per row."""

    def truth(m: FeatureConvexModel, x: Tensor) -> Array:
        net, phi = m.convex_net, m.feature_map
        assert isinstance(net, MaxAffine)
        weight = net.affine.weight.detach().double()
        if isinstance(phi, Scale):
            weight = weight * phi.scale
        with torch.no_grad():
            margins = (net.affine(m.feature_map(x)).double() + m.tau).numpy()
        return np.array(
            [
                max_affine_radius(
                    weight.numpy(),
                    one,
                    p,
                    None if cost is None else cost.numpy(),
                    -row.numpy() if box else None,
                    1 - row.numpy() if box else None,
                )
                for one, row in zip(margins, x, strict=True)
            ]
        )

    return truth


def make_cases() -> dict[str, CertificateCase]:
    cases = {}
    units = [2.0, -0.5, 1.0, 3.0]
    one, many = (lambda: MaxAffine(4, 1)), (lambda: MaxAffine(4, 6))
    mlp, wide = (lambda: ConvexMLP(4, (8, 5))), (lambda: ConvexMLP(8, (8, 5)))
    for p in EXPONENTS:
        for text, cost in (("", None), ("-cost", COST)):
            name = f"l{p:g}{text}"
            threat = Lp(p, cost)
            scaled = lambda: Scale(units, 0.5)  # noqa: E731
            cases[f"linear-{name}"] = CertificateCase(
                model(Identity, one, X), X, threat, truth=linear(cost, p), tight=True
            )
            cases[f"linear-scaled-{name}"] = CertificateCase(
                model(scaled, one, X), X, threat, truth=linear(cost, p), tight=True
            )
            if p in (1.0, 2.0, math.inf):
                cases[f"max-affine-{name}"] = CertificateCase(
                    model(scaled, many, X), X, threat, truth=polytope(cost, p)
                )
                cases[f"max-affine-box-{name}"] = CertificateCase(
                    model(Identity, many, IN_BOX),
                    IN_BOX,
                    threat,
                    Box(0, 1),
                    truth=polytope(cost, p, box=True),
                )
            cases[f"mlp-{name}"] = CertificateCase(model(Identity, mlp, X), X, threat)
            cases[f"absolute-{name}"] = CertificateCase(
                model(lambda: Compose(Center(0.25), AbsConcat()), wide, X), X, threat
            )
    conv = lambda: ConvexConvNet(2, 4, features=2, depth=1)  # noqa: E731
    cases["convnet-l2"] = CertificateCase(model(AbsConcat, conv, IMAGES), IMAGES, Lp(2))
    return cases


CASES = make_cases()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("law", CERTIFICATE_LAWS, ids=lambda law: law.__name__)
def test_law(law: Law[CertificateCase], name: str) -> None:
    law(CASES[name])


@pytest.mark.parametrize("p", EXPONENTS)
@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_never_above_brute_force_after_absolute_values(p: float, size: int, seed: int) -> None:
    """Every point of a fine grid nearer than the radius keeps class 1; kinks lie inside the grid."""
    x = grid((10, size), 2**-6, seed=seed)
    phi = Compose(Center(0.25), AbsConcat())
    m = build(lambda: balanced(FeatureConvexModel(phi, ConvexMLP(2 * size, (8, 5))), x), seed)
    m = m.double()
    found = certify(m, x, Lp(p)).radius
    for row, certified in zip(x, found, strict=True):
        true = grid_radius(m, row, p, reach=4.0, points=801 if size == 1 else 161)
        assert certified <= true


@pytest.mark.parametrize("p", EXPONENTS)
def test_is_the_formula_of_the_active_piece(p: float) -> None:
    """``(max_k m_k) / ||w_k / cost||_q`` for the piece on top, with one piece's own weights."""
    net = MaxAffine(4, 6).double()
    m = FeatureConvexModel(Identity(), net, tau=1.0)
    pieces = net.affine(X).detach() + 1.0
    top = pieces.argmax(1)
    q = math.inf if p == 1 else 1 / (1 - 1 / p)
    slope = np.linalg.norm((net.affine.weight.detach()[top] / COST).numpy(), q, axis=1)
    margin = pieces.max(1).values.numpy()
    expected = np.where(margin > 0, margin / slope, 0.0)
    np.testing.assert_allclose(certify(m, X, Lp(p, COST)).radius, expected, rtol=1e-9)


def test_the_radius_never_exceeds_the_quotient() -> None:
    """Rounded down, not to nearest."""
    margin, slope = torch.rand(1000).double(), torch.rand(1000).double()
    assert (radius(margin, slope) <= margin / slope).all()
    assert (radius(margin, slope) >= margin / slope * (1 - 1e-11)).all()


@pytest.mark.parametrize(
    ("margin", "slope", "expected"),
    [
        (1.0, 0.0, math.inf),
        (0.0, 0.0, 0.0),
        (-1.0, 0.0, 0.0),
        (-1.0, 2.0, 0.0),
        (0.0, 1.0, 0.0),
        (1.0, math.inf, 0.0),
        (1.0, math.nan, 0.0),
        (math.nan, 1.0, 0.0),
        (1e300, 1e-300, float(np.finfo(float).max)),
        (1e-320, 1.0, 1e-320),
    ],
)
def test_special_quotients(margin: float, slope: float, expected: float) -> None:
    """Only a zero slope proves inf; what is not a number proves nothing."""
    wide = torch.tensor([[margin], [slope]], dtype=torch.float64)
    found = radius(wide[0], wide[1])
    assert float(found) == pytest.approx(expected, rel=1e-9, abs=1e-322)


@given(p=st.floats(1, 1.2), size=st.floats(1e-6, 1e-2))
def test_a_small_gradient_is_not_taken_for_none(p: float, size: float) -> None:
    """q = p / (p - 1) is large: size^q underflows, the radius is still finite."""
    net = MaxAffine(3, 1).double()
    net.affine.weight.data.fill_(size)
    net.affine.bias.data.fill_(1.0)
    cert = certify(FeatureConvexModel(Identity(), net), torch.zeros(1, 3).double(), Lp(p))
    expected = linear_radius(np.full(3, size / size), np.array([1.0]), max(p, 1.0))[0] / size
    assert cert.status[0] == Status.certified
    assert cert.radius[0] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("shape", [(5,), (12, 4), (12, 1), (2, 4)])
def test_a_cost_that_does_not_fit_one_input_is_refused(shape: tuple[int, ...]) -> None:
    for phi, size in ((Identity(), 4), (AbsConcat(), 8)):
        m = FeatureConvexModel(phi, MaxAffine(size))
        with pytest.raises(UserError, match="cost of shape"):
            certify(m, X.float(), Lp(2, torch.ones(shape)))


def test_a_cost_per_channel_broadcasts() -> None:
    m = FeatureConvexModel(AbsConcat(), ConvexMLP(32, (4,)), tau=5.0)
    x = grid((3, 2, 2, 4), 2**-8, seed=62).float()
    per_channel = torch.tensor([2.0, 5.0]).reshape(2, 1, 1)
    full = per_channel.expand(2, 2, 4).clone()
    a, b = (certify(m, x, Lp(1, cost)).radius for cost in (per_channel, full))
    np.testing.assert_array_equal(a, b)


def test_affine_maps_use_the_gradient_in_raw_units() -> None:
    """Worth a factor of 10 here: the constant of the map would charge every coordinate the largest."""
    net = MaxAffine(2, 1).double()
    net.affine.weight.data = torch.tensor([[0.0, 1.0]]).double()
    net.affine.bias.data.fill_(1.0)
    m = FeatureConvexModel(Scale([10.0, 1.0]), net)
    assert certify(m, torch.zeros(1, 2).double()).radius[0] == pytest.approx(1.0)
