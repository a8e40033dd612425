"""Certificates about the class that a float32 or float64 model computes."""

import copy
import math

import numpy as np
import pytest
import torch
from tests.certificates.multi_class.scores import MAPS, NETS, D, model_of, points
from tests.sum_order import OneByOne
from torch import Tensor

import featureconvex as fc

DTYPES = {"float32": torch.float32, "float64": torch.float64}
CASES = [
    (phi, list(NETS)[i % len(NETS)], (1.0, 2.0, math.inf)[i % 3]) for i, phi in enumerate(MAPS)
]


def just_inside(model: fc.MultiClassModel, x: Tensor, away: np.ndarray, p: float, j: int) -> Tensor:
    """(ways, n, D) float64: points at almost the certified budget, the steepest way down and at random."""
    wide = copy.deepcopy(model).double()
    point = x.double().requires_grad_()
    scores = wide(point)
    gap = scores.gather(1, scores.argmax(1, keepdim=True)).squeeze(1) - scores[:, j]
    (slope,) = torch.autograd.grad(gap.sum(), point)
    largest = torch.nn.functional.one_hot(slope.abs().argmax(1), D) * slope.sign()
    random = torch.randn(20, *x.shape, dtype=torch.float64)
    steps = torch.cat((-slope[None], -slope.sign()[None], -largest[None], random))
    length = torch.linalg.vector_norm(steps, p, dim=2, keepdim=True).clamp_min(1e-300)
    far = torch.from_numpy(away).clamp(max=1e3) * (1 - 1e-12)
    inside: Tensor = x.double() + far[None, :, None] * steps / length
    return inside


@pytest.mark.parametrize("arithmetic", DTYPES)
@pytest.mark.parametrize(("phi", "net", "p"), CASES)
def test_the_computed_class_stays_inside_the_radius(
    phi: str, net: str, p: float, arithmetic: str
) -> None:
    torch.manual_seed(0)
    dtype = DTYPES[arithmetic]
    model, x = model_of(phi, net, 3, dtype=dtype), points(10, dtype=dtype)
    level = fc.levels.Sound("closed-form", arithmetic)
    exact = fc.certify_classes(model, x, fc.Lp(p))
    cert = fc.certify_classes(model, x, fc.Lp(p), level=level)
    assert (cert.away <= exact.away).all()
    # What rounding takes off is in proportion to the scores, of which some differ by little.
    sure = exact.radius > 0.01
    assert sure.any()
    assert (cert.radius[sure] >= 0.99 * exact.radius[sure]).all()
    for j in range(3):
        rows = np.flatnonzero((cert.predicted != j) & (cert.away[:, j] > 0))
        if not len(rows):
            continue
        inside = just_inside(model, x[rows], cert.away[rows, j], p, j).to(dtype)
        own = torch.from_numpy(cert.predicted[rows]).expand(len(inside), -1)
        computed = model(inside.flatten(0, 1))
        with OneByOne():
            one_by_one = model(inside.flatten(0, 1))
        for scores in (computed, one_by_one):
            scores = scores.view(*own.shape, 3)
            ahead = scores.gather(2, own[..., None]).squeeze(2) - scores[..., j]
            assert (ahead > 0).all()


@pytest.mark.parametrize("base", [fc.levels.Domain(), fc.levels.Tight(iterations=2)])
@pytest.mark.parametrize("phi", ["scaled", "orthogonal", "affine end"])
def test_never_above_the_base_in_a_domain(phi: str, base: fc.levels.Level) -> None:
    model, x = model_of(phi, "mlp", 3, dtype=torch.float32), points(3, dtype=torch.float32)
    for threat in (fc.Lp(math.inf), fc.L0()):
        exact = fc.certify_classes(model, x, threat, fc.Box(0, 1), base)
        level = fc.levels.Sound(base, "float32")
        cert = fc.certify_classes(model, x, threat, fc.Box(0, 1), level)
        assert (cert.away <= exact.away).all()
        assert (cert.radius[exact.radius > 0.01] > 0).all()


@pytest.mark.parametrize("arithmetic", DTYPES)
@pytest.mark.parametrize("size", [0.0, 2.0**12, 2.0**36, 2.0**44])
def test_thresholds_may_swallow_a_difference(size: float, arithmetic: str) -> None:
    """Scores that differ by 1e-5 a unit are computed equal behind large thresholds; then the first wins."""
    nets = [fc.nn.MaxAffine(1, pieces=1) for _ in range(2)]
    for net, weight in zip(nets, (0.0, 1e-5), strict=True):
        torch.nn.init.constant_(net.affine.weight, weight)
        torch.nn.init.zeros_(net.affine.bias)
    model = fc.MultiClassModel(fc.features.Identity(), nets, [size, size]).to(DTYPES[arithmetic])
    x = torch.tensor([[1e-3], [1.0], [1e3], [1e6]], dtype=DTYPES[arithmetic])
    level = fc.levels.Sound("closed-form", arithmetic)
    cert = fc.certify_classes(model, x, fc.Lp(2), level=level)
    assert (cert.radius[-1] > 0) == (arithmetic == "float64" or size < 2.0**30)
    for row in np.flatnonzero(cert.radius):
        share = torch.linspace(0, 1 - 1e-12, 400, dtype=torch.float64)[:, None]
        inside = (x[row].double() - share * cert.radius[row]).to(x.dtype)
        assert (model(inside).argmax(1) == int(cert.predicted[row])).all()


def test_reduced_products_are_refused() -> None:
    model, x = model_of("identity", "mlp", 3, dtype=torch.float32), points(2, dtype=torch.float32)
    with (
        torch.autocast("cpu", dtype=torch.bfloat16),
        pytest.raises(fc.UserError, match="autocast"),
    ):
        fc.certify_classes(model, x, level=fc.levels.Sound(arithmetic="float32"))
