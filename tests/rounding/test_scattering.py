"""The scattering transform against ball arithmetic: enclosed, deployed, and no steeper than proved."""

import math
from functools import cache

import flint
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.features.test_scattering import worst_ratio
from torch import Tensor, nn

import featureconvex as fc
from featureconvex.certificates.levels.sound import deployed, sound_line
from featureconvex.certificates.levels.sound import line as rounding_line
from featureconvex.errors import UserError
from featureconvex.features import Compose, FeatureMap, Scale, Scattering
from featureconvex.features.scattering.constants import constants_of
from featureconvex.features.scattering.filter_norms import top_eigenvalue_up
from featureconvex.features.scattering.wavelets import WaveletStage
from featureconvex.nn.card import rounding_steps
from featureconvex.rounding import Ball, Graph, fourier
from featureconvex.rounding.directed import FLOAT32, FLOAT64, Rounding
from featureconvex.rounding.steps import Mode
from featureconvex.testing.exact import ExactMargin

DTYPES = {torch.float32: FLOAT32, torch.float64: FLOAT64}
# Shape, scales, orientations, order: padded, not square, two channels, averages only.
CASES = [((1, 8, 8), 2, 3, 2), ((3, 5, 7), 1, 2, 2), ((2, 6, 4), 1, 3, 1), ((1, 8, 8), 3, 2, 0)]
EXPONENTS = (1.0, 1.5, 2.0, 3.0, math.inf)


@cache
def scattering(case: tuple[tuple[int, int, int], int, int, int]) -> Scattering:
    return Scattering(*case)


def modelled(phi: FeatureMap, shape: tuple[int, ...], dtype: torch.dtype) -> fc.FeatureConvexModel:
    torch.manual_seed(0)
    net = fc.nn.ConvexMLP(math.prod(phi.output_shape(shape)), (6, 3))
    return fc.FeatureConvexModel(phi, net, tau=0.3).to(dtype).eval()


def numbers(values: Tensor) -> np.ndarray:
    judge = ExactMargin(modelled(Scale(1.0), (1,), torch.float64), flint.arb)
    return judge.numbers(values)


def distances(a: np.ndarray, b: np.ndarray) -> Tensor:
    """The l2 distance of every output map, in float64 from exact differences."""
    apart = np.array([abs(float((x - y).mid())) for x, y in zip(a.ravel(), b.ravel(), strict=True)])
    norms: Tensor = torch.linalg.vector_norm(torch.as_tensor(apart).view(len(a), -1), dim=1)
    return norms


def test_roots_of_unity_are_right_to_four_roundoffs() -> None:
    for n in (*range(1, 40), 96, 224):
        for k in range(n):
            with flint.ctx.workprec(200):
                angle = flint.arb(2 * k) / n
                for got, true in zip(
                    fourier._root(k, n), (angle.cos_pi(), angle.sin_pi()), strict=True
                ):
                    assert abs(float((true - flint.arb(got)).mid())) <= 2.0**-51


def waves(n: int) -> np.ndarray:
    """``exp(-2 pi i j k / n)``."""
    angles = [flint.arb(-2 * k) / n for k in range(n)]
    roots = [flint.acb(angle.cos_pi(), angle.sin_pi()) for angle in angles]
    return np.array([[roots[j * k % n] for k in range(n)] for j in range(n)])


@pytest.mark.parametrize("shape", [(8, 8), (5, 7), (12, 2), (1, 3)])
def test_transforms_are_within_their_accuracy_of_the_definition(shape: tuple[int, int]) -> None:
    h, w = shape
    x = torch.randn(shape, dtype=torch.float64)
    with flint.ctx.workprec(200):
        true = waves(h).dot(numbers(x)).dot(waves(w))
        got, fast = fourier.spectrum(x), torch.fft.fft2(x)
        size = math.sqrt(h * w) * float(x.norm())
        for re, im in ((got[:, 0].T, got[:, 1].T), (fast.real, fast.imag)):
            error = [
                abs(complex((flint.acb(float(a), float(b)) - c).mid()))
                for a, b, c in zip(re.ravel(), im.ravel(), true.ravel(), strict=True)
            ]
            assert math.hypot(*error) <= fourier.accuracy(shape, FLOAT64) * size
    back = fourier.image(got)
    assert torch.allclose(back[:, 0] / (h * w), x, rtol=0, atol=1e-13)
    assert float(back[:, 1].abs().max()) < 1e-12
    assert torch.allclose(fourier.image(got, real=True), back[:, 0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_assumption_about_fourier_libraries_holds(dtype: torch.dtype) -> None:
    """Random and structured images of many sizes: never above a fifth of what is assumed."""
    real = {torch.float32: FLOAT32, torch.float64: FLOAT64}[dtype]
    for h, w in [(n, n) for n in range(1, 34)] + [(32, 7), (64, 64), (96, 40), (128, 128)]:
        ramp = torch.linspace(0, 1, h * w, dtype=torch.float64).view(h, w)
        for x in (torch.randn(h, w, dtype=torch.float64), ramp, 0 * ramp + 1):
            x = x.to(dtype)
            true = fourier.spectrum(x.double())
            exact = torch.complex(true[:, 0].T, true[:, 1].T)
            assumed = 8 * math.log2(2 * h * w) * real.unit * float(exact.abs().norm())
            for error in (
                (torch.fft.fft2(x) - exact).abs().norm(),
                (torch.fft.ifft2(exact.to(torch.fft.fft2(x).dtype)) * h * w - h * w * x).norm()
                / math.sqrt(h * w),
            ):
                room = 0.2 if dtype == torch.float32 else 1.0  # float64 is no finer than the judge
                assert float(error) <= room * assumed + 1e-300


def enclosed(
    phi: Scattering, x: Tensor, dtype: torch.dtype, arithmetic: Rounding
) -> tuple[Tensor, Tensor, Tensor]:
    """Shares of the bound that centre and deployed pass use, per map, and the bound: (rows, maps)."""
    graph = Graph(dtype)
    phi.rounding_steps(graph, 0)
    ball, _ = graph.forward(Ball.exact(x), Mode(arithmetic, relaxed=False))
    assert torch.equal(ball.radius.amax((2, 3)), ball.radius.amin((2, 3)))
    judge = ExactMargin(modelled(phi, phi.image_shape, dtype), flint.arb)
    bound = ball.radius[..., 0, 0]
    shares: list[Tensor] = []
    with flint.ctx.workprec(200), torch.no_grad():
        for row, deployed_row in zip(x, phi(x.to(dtype)), strict=True):
            true = judge.evaluate(phi, judge.numbers(row))
            here = ball.centre[len(shares)]
            shares.append(
                torch.stack([distances(true, judge.numbers(v)) for v in (here, deployed_row)])
            )
    both = torch.stack(shares, dim=1) / bound
    return both[0], both[1], bound


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("case", CASES)
def test_the_exact_transform_is_enclosed(
    case: tuple[tuple[int, int, int], int, int, int], dtype: torch.dtype
) -> None:
    phi = scattering(case)
    torch.manual_seed(0)
    x = torch.randn(4, *case[0]).double()
    x[1] += 100
    x[2, :, 1:] = 0
    x[3] *= 1e-25
    centre, machine, bound = enclosed(phi, x, dtype, DTYPES[dtype])
    assert float(centre.max()) <= 1
    assert float(machine.max()) <= 1
    # Not absurdly loose either: for float64, 1e-11 of the image's norm.
    assert float(machine[:3].max()) > 1e-5
    if dtype == torch.float64:
        assert bool((bound[:3].amax(1) < 1e-11 * x[:3].flatten(1).norm(dim=1)).all())


def test_an_error_bound_ten_thousand_times_too_small_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    phi, x = scattering(CASES[0]), torch.rand(2, 1, 8, 8).double()
    accuracy, gamma = fourier.accuracy, Rounding.gamma
    monkeypatch.setattr(fourier, "accuracy", lambda *args: 1e-4 * accuracy(*args))
    monkeypatch.setattr(Rounding, "gamma", lambda *args: 1e-4 * gamma(*args))
    assert float(enclosed(phi, x, torch.float32, FLOAT32)[1].max()) > 1
    assert float(enclosed(phi, x, torch.float64, FLOAT64)[0].max()) > 1


@settings(max_examples=15)
@given(
    seed=st.integers(0, 10**6), case=st.sampled_from(CASES), size=st.sampled_from([1e-9, 1e-2, 10])
)
def test_an_uncertain_input_stays_inside(
    seed: int, case: tuple[tuple[int, int, int], int, int, int], size: float
) -> None:
    phi = scattering(case)
    torch.manual_seed(seed)
    x, radius = torch.randn(1, *case[0]).double(), size * torch.rand(1, *case[0]).double()
    graph = Graph(torch.float64)
    phi.rounding_steps(graph, 0)
    ball, _ = graph.forward(Ball(x, radius), Mode(FLOAT64, relaxed=False))
    for sign in (radius, -radius, radius * torch.randn_like(radius).sign()):
        apart = (phi(x + sign) - ball.centre).flatten(2).norm(dim=2)
        assert bool((apart <= ball.radius[..., 0, 0]).all())


def exact_error(model: fc.FeatureConvexModel, x: Tensor) -> float:
    judge = ExactMargin(model, flint.arb)
    with torch.no_grad(), flint.ctx.workprec(300):
        return abs(float((flint.arb(model(x.to(model.dtype)).item()) - judge(x[0])).mid()))


@pytest.mark.parametrize("front", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_forward_error_grows_no_faster_than_proved(dtype: torch.dtype, front: bool) -> None:
    phi: FeatureMap = scattering(CASES[0])
    phi = Compose(Scale(3.0, 0.2), phi) if front else phi
    model = modelled(phi, (1, 8, 8), dtype)
    x = torch.rand(1, 1, 8, 8).double()
    features, network = rounding_line.graphs(model)
    with torch.no_grad():
        here = float(deployed.error_here(features, network, x, DTYPES[dtype]))
        weight = float(deployed.error_growth(features, network, x, DTYPES[dtype]).max())
    for size in (0.0, 1e-6, 0.1, 10.0, 1e9):
        there = x + size * torch.randn_like(x)
        bound = here + weight * float((there - x).norm())
        error = exact_error(model, there)
        assert error <= bound
    # The last point is so far that the growth alone decides, and it is not absurdly loose.
    assert error > max(1e-6 * bound, 10 * here)


def test_no_overflow_within_the_reach() -> None:
    model = modelled(scattering(CASES[0]), (1, 8, 8), torch.float32)
    with torch.no_grad():
        for layer in model.convex_net.parameters():
            layer.mul_(2.0**28)
    features, network = rounding_line.graphs(model)
    x = torch.rand(1, 1, 8, 8).double()
    reach = deployed.reach(features, network, x, FLOAT32)
    assert 0 < reach < 2.0**40
    assert torch.isfinite(model((x + reach).float())).all()
    step = features.nodes[1][0]
    assert step is not None
    spectrum = torch.fft.fft2(x + reach).abs().max()
    assert float(spectrum) <= step.amplification * float((x + reach).abs().max())


@pytest.mark.parametrize("p", EXPONENTS)
@pytest.mark.parametrize("case", CASES)
def test_constants_are_those_of_the_map_and_hardly_more(
    case: tuple[tuple[int, int, int], int, int, int], p: float
) -> None:
    """The map's own constant carries a slack of 1e-6 on the same formulas."""
    phi = scattering(case)
    proved, claimed = constants_of(phi, torch.float64)(p), phi.lipschitz(p)
    assert claimed * (1 - 3e-6) <= proved <= claimed
    assert constants_of(phi, torch.float32)(p) == proved


def test_constants_follow_the_stored_filters() -> None:
    phi = Scattering((1, 8, 8), 2, 3)
    before = constants_of(phi, torch.float64)(2.0)
    with torch.no_grad():
        for module in phi.modules():
            if isinstance(module, WaveletStage):
                module.low.mul_(1.5)
                module.bands.mul_(1.5)
    after = constants_of(phi, torch.float64)(2.0)
    assert after > 1.4 * before
    assert 0.6 * after < worst_ratio(phi, 2, steps=12) <= after


@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
def test_the_average_alone_has_an_exact_constant(p: float) -> None:
    """Order 0 is linear: its norm is that of an explicit matrix, whose entries are right to 1e-13."""
    phi = scattering(CASES[3])
    matrix = phi(torch.eye(64, dtype=torch.float64).view(64, 1, 8, 8)).flatten(1).T
    exact = float(torch.linalg.matrix_norm(matrix, p))
    proved = constants_of(phi, torch.float64)(p)
    assert exact * (1 - 1e-12) <= proved <= exact * (1 + 1e-9)


@settings(max_examples=50)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 12), scale=st.sampled_from([1e-9, 1.0, 1e9]))
def test_eigenvalues_are_bounded_from_above(seed: int, n: int, scale: float) -> None:
    """``V V^T`` of integers, so that trace powers bound the eigenvalue exactly from below."""
    torch.manual_seed(seed)
    v = torch.randint(-9, 10, (n, n + 1)).double()
    gram = (v @ v.T) * scale
    bound = top_eigenvalue_up(gram[None], torch.zeros_like(gram)[None])
    with flint.ctx.workprec(300):
        exact = flint.arb_mat([[flint.arb(a) for a in row] for row in gram.tolist()])
        vector = flint.arb_mat([[flint.arb(a)] for a in torch.linalg.eigh(gram)[1][:, -1].tolist()])
        quotient = (vector.transpose() * exact * vector)[0, 0] / (vector.transpose() * vector)[0, 0]
        assert quotient <= flint.arb(bound)
    assert bound <= float(quotient.mid()) * (1 + 1e-11) + 1e-300


def test_an_uncertain_matrix_has_a_larger_bound() -> None:
    gram = torch.diag(torch.tensor([1.0, 3.0])).double()[None]
    slack = torch.full_like(gram, 2.0**50)
    # Entries off by 1/8 each: the eigenvalue may be as large as 3.13.
    assert 3.13 <= top_eigenvalue_up(gram, slack) < 4
    assert top_eigenvalue_up(gram * math.nan, slack) == math.inf


@pytest.mark.parametrize("arithmetic", ["real", "float32", "float64"])
def test_sound_lines_stay_below_the_exact_margin(arithmetic: str) -> None:
    phi = Compose(Scale(2.0, -0.1), scattering(CASES[0]), Scale(0.5))
    model = modelled(phi, (1, 8, 8), torch.float32)
    x = torch.rand(3, 1, 8, 8)
    line = sound_line(model, x, arithmetic)
    assert line.slack_2 is not None
    assert float(line.slack.abs().max()) == 0
    judge = ExactMargin(model, flint.arb)
    with flint.ctx.workprec(200):
        for row in range(len(x)):
            here = judge.evaluate(phi, judge.numbers(x[row]))
            for size in (0.0, 1e-9, 1e-3, 1.0, 30.0):
                point = x[row].double() + size * torch.randn(1, 8, 8).double()
                rise = judge.evaluate(phi, judge.numbers(point)) - here
                step = judge.numbers(point) - judge.numbers(x[row])
                far = (step * step).sum().sqrt()
                bound = flint.arb(line.value[row].item())
                bound = bound + (judge.numbers(line.slope[row]) * rise).sum()
                bound = bound - flint.arb(line.slack_2[row].item()) * far
                assert judge(point) - bound > 0 or (judge(point) - bound).contains(0)


def test_only_coordinatewise_maps_may_stand_in_front() -> None:
    phi = Compose(scattering(CASES[0]), scattering(((7 * 2 + 2, 2, 2), 1, 1, 0)))
    model = modelled(phi, (1, 8, 8), torch.float64)
    assert sound_line(model, torch.rand(2, 1, 8, 8)).steepness(2, None).isfinite().all()
    graph = Graph(torch.float64)
    node = rounding_steps(nn.Conv2d(1, 1, 3, padding=1), graph, 0)
    scattering(CASES[0]).rounding_steps(graph, node)
    shapes = [torch.Size((1, 1, 8, 8)), torch.Size((1, 1, 8, 8)), torch.Size((1, 16, 2, 2))]
    with pytest.raises(UserError, match="order of feature maps"):
        graph.rates(torch.ones(1, 16, 2, 2).double(), shapes, 2.0)
