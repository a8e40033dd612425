"""Laws of a feature map: a proved constant for every p, truthful flags, a sound sensitivity."""

import copy
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from featureconvex.errors import UserError
from featureconvex.features import FeatureMap
from featureconvex.features.base import constant
from featureconvex.norms import dual_exponent, vector_norm
from featureconvex.testing.cards import check_map_steps, check_separable_form
from featureconvex.testing.law import Law, build, check_all, close, rebuilt, require
from featureconvex.testing.weights import grid

EXPONENTS = (1.0, 1.5, 2.0, 3.0, math.inf)
# A constant computed in floating point, and differences of features, are off by a few roundings.
SLACK = 1 + 1e-9


@dataclass(frozen=True)
class FeatureMapCase:
    """A feature map under test.

    Attributes:
        make: builds the map.
        shape: the shape of one input; at most a few dozen numbers, since each is moved on its own.
        truth: optional; the slow, obvious map, (n, *shape) -> (n, ...).
        tolerance: relative slack of the Lipschitz laws, for maps with float32 inside.
    """

    make: Callable[[], FeatureMap]
    shape: tuple[int, ...]
    truth: Callable[[Tensor], Tensor] | None = None
    tolerance: float = 0.0


def pairs(phi: FeatureMap, shape: tuple[int, ...]) -> Iterator[tuple[Tensor, Tensor]]:
    """Pairs of inputs: near and far, across and along the kinks, one coordinate, adversarial."""
    n = 64
    x = grid((n, *shape), 2**-8, seed=20)
    yield x, grid((n, *shape), 2**-8, seed=21)
    yield x, x + 2**-4 * grid((n, *shape), 2**-8, seed=22)
    yield x, -x
    yield 1024 * x, x
    yield x.abs(), 2 * x.abs()
    size = math.prod(shape)
    single = torch.eye(size, dtype=torch.float64).reshape(size, *shape)
    base = grid((size, *shape), 2**-8, seed=23)
    for step in (2**-6, -(2**-6), 4.0):
        yield base, base + step * single
    for sign in (1.0, -1.0):
        yield base, base + sign * torch.ones_like(base)
    yield _stretched(phi, x[:16])


def _stretched(phi: FeatureMap, x: Tensor) -> tuple[Tensor, Tensor]:
    """Pairs ``x, x + delta`` whose ratio of distances was pushed up by gradient ascent, in every norm."""
    start = 2**-4 * grid(tuple(x.shape), 2**-8, seed=24) + 2**-9
    # One batch: the same points once for each norm.
    x, start = (torch.cat([rows] * len(EXPONENTS)) for rows in (x, start))
    delta = start.requires_grad_()
    with torch.no_grad():
        before = phi(x)
    optimiser = torch.optim.Adam([delta], lr=0.02)
    for _ in range(40):
        optimiser.zero_grad()
        moved = (phi(x + delta) - before).chunk(len(EXPONENTS))
        stretch = torch.zeros((), dtype=x.dtype)
        for p, out, into in zip(EXPONENTS, moved, delta.chunk(len(EXPONENTS)), strict=True):
            stretch = stretch + (vector_norm(out, p) / vector_norm(into, p)).log().sum()
        (-stretch).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    delta = torch.where(torch.isfinite(delta), delta, 1.0).detach()
    return x, x + delta


def never_stretches_more_than_its_constant(case: FeatureMapCase) -> None:
    """``||phi(x) - phi(y)||_p <= lipschitz(p) ||x - y||_p`` for p in {1, 1.5, 2, 3, inf}."""
    phi = build(case.make).double()
    for x, y in pairs(phi, case.shape):
        with torch.no_grad():
            moved = phi(x) - phi(y)
            rounding = 16 * torch.finfo(torch.float64).eps * (phi(x).abs() + phi(y).abs())
        for p in EXPONENTS:
            bound = phi.lipschitz(p) * vector_norm(x - y, p) * (SLACK + case.tolerance)
            worst = vector_norm((moved.abs() - rounding).clamp_min(0), p)
            ratio = float((worst / vector_norm(x - y, p)).max())
            require(
                (worst <= bound).all(),
                f"stretches l{p:g} distances by {ratio:.9g}, claims {phi.lipschitz(p):.9g}",
            )


def never_stretches_more_between_norms(case: FeatureMapCase) -> None:
    """``||phi(x) - phi(y)||_s <= L_(p, s) ||x - y||_p`` for every pair of norms with a constant."""
    phi = build(case.make).double()
    known = {
        (p, s): factor
        for p, s in itertools.product(EXPONENTS, repeat=2)
        if (factor := constant(phi, p, s)) < math.inf
    }
    require(all((p, p) in known for p in EXPONENTS), "no constant from some norm to itself")
    for x, y in pairs(phi, case.shape):
        with torch.no_grad():
            moved = (phi(x) - phi(y)).abs()
            moved -= 16 * torch.finfo(torch.float64).eps * (phi(x).abs() + phi(y).abs())
        before = {p: vector_norm(x - y, p) for p in EXPONENTS}
        after = {s: vector_norm(moved.clamp_min(0), s) for s in EXPONENTS}
        for (p, s), factor in known.items():
            require(
                (after[s] <= factor * before[p] * (SLACK + case.tolerance)).all(),
                f"stretches from l{p:g} to l{s:g} by {float((after[s] / before[p]).max()):.9g}, "
                f"claims {factor:.9g}",
            )


def constants_are_numbers(case: FeatureMapCase) -> None:
    """``lipschitz(p)`` is a finite float >= 0, and a p below 1 is refused."""
    phi = build(case.make)
    for p in EXPONENTS:
        constant = phi.lipschitz(p)
        require(
            isinstance(constant, float) and 0 <= constant < math.inf,
            f"lipschitz({p:g}) is {constant!r}, expected a finite float >= 0",
        )
    v = phi(torch.zeros(1, *case.shape))
    try:
        phi.sensitivity(v, 0.5)
    except UserError:
        return
    require(False, "sensitivity accepts the exponent 0.5, which is no norm")


def costs(shape: tuple[int, ...]) -> tuple[Tensor | None, ...]:
    """No cost, positive costs of either size, and costs with immutable coordinates."""
    cost = grid(shape, 2**-8, seed=25).abs() * 4 + 2**-4
    fixed = cost.clone()
    fixed.view(-1)[:: max(2, math.prod(shape) // 2)] = math.inf
    return None, torch.tensor(2.0, dtype=torch.float64), cost, fixed


def sensitivity_bounds_every_move(case: FeatureMapCase) -> None:
    """``<v, phi(x) - phi(x')> <= sensitivity(v, p, cost) ||cost * (x' - x)||_p``, any v, x, x', cost."""
    phi = build(case.make).double()
    moves = [*pairs(phi, case.shape), *_single_moves(case.shape)]
    x, y = (torch.cat(points) for points in zip(*moves, strict=True))
    with torch.no_grad():
        image = phi(x)
        moved = (image - phi(y)).flatten(1)
    generic = grid(tuple(moved.shape), 2**-8, seed=26)
    peak = moved * (moved.abs() == moved.abs().amax(1, keepdim=True))
    # Aligned with the move for p = 2, inf and 1, and unrelated to it; all as rows of one batch.
    directions = (moved, moved.sign(), peak, generic)
    v, moved = torch.cat(directions), moved.repeat(len(directions), 1)
    fall = (v * moved).sum(1) - 1e-12 * (v * moved).abs().sum(1)
    v = v.reshape(len(v), *image.shape[1:])
    for p, cost in itertools.product(EXPONENTS, costs(case.shape)):
        spent = _spent(x, y, p, cost).repeat(len(directions))
        slope = phi.sensitivity(v, p, cost)
        require(slope.shape == (len(v),), f"sensitivity has shape {tuple(slope.shape)}")
        require(slope.dtype == torch.float64, f"sensitivity is {slope.dtype}")
        # An immutable coordinate that moves costs inf: nothing is claimed.
        claimed = torch.where(torch.isinf(spent), math.inf, slope * spent)
        require(
            (fall <= claimed * (SLACK + case.tolerance)).all(),
            f"falls by {float((fall / spent).max()):.9g} per unit of budget (p = {p:g}), "
            "more than sensitivity() says",
        )


def _single_moves(shape: tuple[int, ...]) -> Iterator[tuple[Tensor, Tensor]]:
    size = math.prod(shape)
    x = grid((size, *shape), 2**-8, seed=27)
    yield x, x - x * torch.eye(size, dtype=torch.float64).reshape(size, *shape)


def _spent(x: Tensor, y: Tensor, p: float, cost: Tensor | None) -> Tensor:
    delta = y - x
    if cost is None:
        return vector_norm(delta, p)
    return vector_norm(torch.where(delta == 0, 0.0, cost * delta), p)


def affine_flag_is_true(case: FeatureMapCase) -> None:
    """An affine map keeps midpoints, its pullback is autograd's, its sensitivity is exact.

    A map that does not call itself affine has no pullback: chaining through a kink proves nothing.
    """
    phi = build(case.make).double()
    x, y = grid((32, *case.shape), 2**-8, seed=28), grid((32, *case.shape), 2**-8, seed=29)
    if not phi.affine:
        try:
            phi.pullback(phi(x))
        except TypeError:
            return
        require(False, "a map that is not affine has a pullback")
    with torch.no_grad():
        middle, mean = phi((x + y) / 2), (phi(x) + phi(y)) / 2
    size = float(mean.abs().max())
    require(close(middle, mean, atol=1e-12 * size), "says affine, but does not keep midpoints")
    x.requires_grad_()
    image = phi(x)
    v = grid(tuple(image.shape), 2**-8, seed=30)
    (pulled,) = torch.autograd.grad((image * v).sum(), x)
    require(close(phi.pullback(v), pulled, atol=1e-12), "pullback differs from autograd")
    for p, cost in itertools.product(EXPONENTS, costs(case.shape)):
        exact = vector_norm(pulled if cost is None else pulled / cost, dual_exponent(p))
        require(
            close(phi.sensitivity(v, p, cost), exact), f"sensitivity is not exact for p = {p:g}"
        )


def sensitivity_is_differentiable(case: FeatureMapCase) -> None:
    """Level ``tight`` climbs along the gradient of ``sensitivity`` and ``pullback`` in the slope."""
    phi = build(case.make).double()
    with torch.no_grad():
        zero, other = phi(torch.zeros(1, *case.shape).double()), grid((4, *case.shape), 2**-8, 41)
    v = grid((4, *zero.shape[1:]), 2**-8, seed=40).requires_grad_()
    for p in EXPONENTS:
        reached = phi.sensitivity(v, p)
        require(reached.requires_grad, f"sensitivity has no gradient for p = {p:g}")
        (rise,) = torch.autograd.grad(reached.sum(), v)
        # Homogeneous of degree 1 (Euler).
        grown = (rise * v).flatten(1).sum(1)
        require(close(grown, reached.detach()), f"not homogeneous for p = {p:g}")
    if phi.affine:
        (back,) = torch.autograd.grad((phi.pullback(v) * other).sum(), v)
        with torch.no_grad():
            moved = phi(other) - zero
        require(close(back, moved, atol=1e-9), "pullback's gradient is not the map's linear part")


def coordinatewise_flag_is_true(case: FeatureMapCase) -> None:
    """No output of a coordinatewise map changes with two different inputs."""
    phi = build(case.make).double()
    if not phi.coordinatewise:
        return
    size = math.prod(case.shape)
    touched = None
    for step in (0.5, -3.0):
        x = grid((1, *case.shape), 2**-8, seed=31)
        one = step * torch.eye(size, dtype=torch.float64).reshape(size, *case.shape)
        with torch.no_grad():
            changed = (phi(x + one) != phi(x)).flatten(1)
        touched = changed if touched is None else touched | changed
    require(
        touched is not None and (touched.sum(0) <= 1).all(),
        "says coordinatewise, but an output depends on two inputs",
    )


def its_form_bounds_every_fall(case: FeatureMapCase) -> None:
    """No minorant falls by more than its separable form says, where the map has one."""
    phi = build(case.make).double()
    check_separable_form(phi, list(pairs(phi, case.shape)))


def its_steps_enclose_it(case: FeatureMapCase) -> None:
    """What the map computes lies where its rounded steps say, where it has them."""
    check_map_steps(build(case.make).double(), case.shape)


def treats_rows_alone(case: FeatureMapCase) -> None:
    """Batch equals single; the dtype stays; ``output_shape`` is right; no rows are no problem."""
    phi = build(case.make)
    for dtype in (torch.float32, torch.float64):
        typed = copy.deepcopy(phi).to(dtype)
        x = grid((5, *case.shape), 2**-8, seed=32).to(dtype)
        whole = typed(x)
        require(whole.dtype == dtype, f"{dtype} in, {whole.dtype} out")
        require(len(whole) == 5 and len(typed(x[:0])) == 0, "the number of rows changes")
        one = torch.cat([typed(x[i : i + 1]) for i in range(5)])
        eps = 16 * torch.finfo(dtype).eps
        require(close(one, whole, rtol=eps, atol=eps), "one row alone has other features")
        require(torch.equal(typed(x), whole), "two calls differ")
        require(phi.output_shape(case.shape) == tuple(whole.shape[1:]), "output_shape is wrong")


def comes_back_from_its_config(case: FeatureMapCase) -> None:
    """The constructor with ``config()``, then the state dict, give the same map and constants."""
    phi = build(case.make)
    copied = rebuilt(phi)
    x = grid((5, *case.shape), 2**-8, seed=33).float()
    require(torch.equal(copied(x), phi(x)), "the config builds another map")
    same = all(copied.lipschitz(p) == phi.lipschitz(p) for p in EXPONENTS)
    require(same, "the config builds a map with other constants")


def agrees_with_the_truth(case: FeatureMapCase) -> None:
    """The same features as the slow, obvious map, where the case has one."""
    if case.truth is not None:
        x = grid((9, *case.shape), 2**-8, seed=34)
        require(
            close(build(case.make).double()(x), case.truth(x), atol=1e-12), "not the obvious map"
        )


FEATURE_MAP_LAWS: tuple[Law[FeatureMapCase], ...] = (
    never_stretches_more_than_its_constant,
    never_stretches_more_between_norms,
    constants_are_numbers,
    sensitivity_bounds_every_move,
    affine_flag_is_true,
    sensitivity_is_differentiable,
    coordinatewise_flag_is_true,
    its_form_bounds_every_fall,
    its_steps_enclose_it,
    treats_rows_alone,
    comes_back_from_its_config,
    agrees_with_the_truth,
)


def check_feature_map(case: FeatureMapCase) -> None:
    """Every law of a feature map.

    Raises:
        AssertionError: naming the laws that are broken.

    >>> from featureconvex.features import AbsConcat
    >>> check_feature_map(FeatureMapCase(AbsConcat, shape=(3,)))
    """
    check_all(FEATURE_MAP_LAWS, case)
