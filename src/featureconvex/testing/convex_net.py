"""Laws of a convex network: write a maker, inherit the tests.

::

    CASE = ConvexNetCase(lambda: MyNet(5), shape=(5,))

    @pytest.mark.parametrize("law", CONVEX_NET_LAWS)
    def test_my_net(law):
        law(CASE)
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from featureconvex.errors import ConvexityError
from featureconvex.nn import project_, prove_convex
from featureconvex.testing.cards import check_minorants, check_network_steps
from featureconvex.testing.law import Law, build, check_all, close, rebuilt, require, seeded
from featureconvex.testing.weights import WEIGHT_SCALES, answers, drawn, grid, value_and_gradient


@dataclass(frozen=True)
class ConvexNetCase:
    """A convex network under test.

    Attributes:
        make: builds a new network, (n, *shape) -> (n,).
        shape: the shape of one input.
        truth: optional; the slow, obvious forward pass, ``(net, u) -> (n,)``.
    """

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    truth: Callable[[nn.Module, Tensor], Tensor] | None = None


LINES, POINTS = 20, 129
CHORD = (0.25, 0.5, 0.75)


def check_convex_on_lines(net: nn.Module, shape: tuple[int, ...]) -> None:
    """Second differences along lines are >= 0 up to rounding, in float64 and float32.

    Finely sampled lines see each kink alone. A random chord adds up all the kinks it crosses, so a
    few concave ones hide behind many convex ones.
    """
    for spread in (1.0, 1024.0):
        # Multiples of a power of two: every point of a line is exact in float32.
        start = grid((LINES, 1, *shape), 2**-6, seed=2) * spread
        way = grid((LINES, 1, *shape), 2**-6, seed=3)
        way[LINES // 2 :] = way[LINES // 2 :].sign()
        t = (torch.arange(POINTS, dtype=torch.float64) - POINTS // 2) * (2**-5 * spread)
        u = (start + t.reshape(1, -1, *(1,) * len(shape)) * way).flatten(0, 1)
        for found in answers(net, u):
            g = found.values.reshape(LINES, POINTS)
            bend = g[:, 2:] - 2 * g[:, 1:-1] + g[:, :-2]
            bend = bend[torch.isfinite(bend)]  # float32 may overflow; a status answers for that
            require(
                (bend >= -4 * found.slack).all(),
                f"not convex along a line ({found.dtype}, inputs of size {spread:g}): a second "
                f"difference is {bend.min().item() if len(bend) else 0:.3g}, beyond rounding "
                f"({found.slack:.3g})",
            )


def convex_for_any_weights(case: ConvexNetCase) -> None:
    """Convex whatever numbers the raw parameters hold: as built, normal, large, tiny, zero."""
    for scale in WEIGHT_SCALES:
        check_convex_on_lines(drawn(build(case.make), scale), case.shape)


def jensen_gap_is_nonnegative(case: ConvexNetCase) -> None:
    """``t g(x) + (1 - t) g(y) >= g(t x + (1 - t) y)`` up to rounding, for near and far points."""
    for scale in WEIGHT_SCALES:
        net = drawn(build(case.make), scale)
        for size_x, size_y in ((1.0, 1.0), (1024.0, 1024.0), (1024.0, 1.0), (1.0, 2**-4)):
            x = grid((64, *case.shape), 2**-6, seed=4) * size_x
            y = grid((64, *case.shape), 2**-6, seed=5) * size_y
            points = (x, y, *(t * x + (1 - t) * y for t in CHORD))
            for found in answers(net, torch.cat(points)):
                g_x, g_y, *middles = found.values.chunk(len(points))
                for t, middle in zip(CHORD, middles, strict=True):
                    gap = t * g_x + (1 - t) * g_y - middle
                    gap = gap[torch.isfinite(gap)]
                    require(
                        (gap >= -4 * found.slack).all(),
                        f"negative Jensen gap ({found.dtype}, weights {scale}, t = {t})",
                    )


def gradient_is_a_subgradient(case: ConvexNetCase) -> None:
    """``g(y) >= g(x) + <grad g(x), y - x>`` up to rounding, kinks and the origin included."""
    for scale in WEIGHT_SCALES:
        net = drawn(build(case.make), scale)
        u = grid((48, *case.shape), 2**-6, seed=6)
        u[0] = 0.0
        for found in answers(net, u):
            dtype, flat = found.dtype, u.flatten(1)
            g, v = value_and_gradient(copy.deepcopy(net).to(dtype), u.to(dtype))
            g, v = g.double(), v.double().flatten(1)
            if not (torch.isfinite(v).all() and torch.isfinite(g).all()):
                continue  # float32 overflowed; a status answers for that
            tangent = g[:, None] + v @ flat.T - (v * flat).sum(1, keepdim=True)
            slack = 64 * torch.finfo(dtype).eps * (v.abs() @ flat.abs().T) + 8 * found.slack
            require(
                (g[None, :] >= tangent - slack).all(),
                f"a tangent is above the network ({dtype}, weights {scale})",
            )


def convex_after_training(case: ConvexNetCase) -> None:
    """Optimiser steps that push towards concavity leave the network convex, projected or not."""
    for projected in (False, True):
        net = build(case.make).double().train()
        optimiser = torch.optim.Adam(net.parameters(), lr=0.3)
        for step in range(6):
            ends = grid((16, *case.shape), 2**-6, seed=10 + step)
            middle = torch.zeros_like(ends)
            optimiser.zero_grad()
            # Ends down, middle up: the steepest way out of the set of convex functions.
            (net(ends).mean() - net(middle).mean()).backward()
            optimiser.step()
            if projected:
                project_(net)
        check_convex_on_lines(net.eval(), case.shape)
        prove_convex(net)


def rows_do_not_mix(case: ConvexNetCase) -> None:
    """In eval mode one row's value and gradient do not depend on the other rows, nor on order."""
    for scale in (None, 1.0):
        net = drawn(build(case.make), scale)
        u = grid((6, *case.shape), 2**-6, seed=7)
        g, v = value_and_gradient(net, u)
        slack = answers(net, u)[0].slack
        order = torch.tensor([3, 0, 5, 1, 4, 2])
        shuffled, _ = value_and_gradient(net, u[order])
        require(close(shuffled, g[order], atol=slack), "a permutation of rows changes values")
        for i in range(len(u)):
            one, gradient = value_and_gradient(net, u[i : i + 1])
            require(close(one, g[i : i + 1], atol=slack), "one row alone has another value")
            require(
                close(gradient, v[i : i + 1], atol=max(slack, 1e-9 * float(v.abs().max()))),
                "one row alone has another gradient",
            )


def one_number_per_row(case: ConvexNetCase) -> None:
    """(n, *shape) -> (n,) in the network's own dtype, also for no rows at all."""
    for dtype in (torch.float32, torch.float64):
        net = build(case.make).to(dtype)
        for n in (0, 1, 3):
            out = net(torch.zeros(n, *case.shape, dtype=dtype))
            require(out.shape == (n,), f"{n} rows give shape {tuple(out.shape)}, expected ({n},)")
            require(out.dtype == dtype, f"a {dtype} network answers {out.dtype}")


def deterministic_in_eval_mode(case: ConvexNetCase) -> None:
    """Two calls agree bit for bit, and calls leave the state alone."""
    net = build(case.make)
    u = grid((5, *case.shape), 2**-6, seed=8).float()
    before = copy.deepcopy(net.state_dict())
    with seeded(1):
        first = net(u)
    with seeded(2):
        second = net(u)
    require(torch.equal(first, second), "two calls in eval mode differ")
    same = all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    require(same, "a call in eval mode changed the network's state")


def comes_back_from_its_config(case: ConvexNetCase) -> None:
    """``type(net)(**config)`` with the state dict, and a deep copy, compute the same numbers."""
    net = build(case.make)
    u = grid((5, *case.shape), 2**-6, seed=9).float()
    require(torch.equal(copy.deepcopy(net)(u), net(u)), "a deep copy computes something else")
    if hasattr(net, "config"):
        require(torch.equal(rebuilt(net)(u), net(u)), "the config builds another network")


def proved_convex(case: ConvexNetCase) -> None:
    """:func:`featureconvex.nn.prove_convex` accepts it as built, copied, cast and loaded."""
    net = build(case.make)
    for version in (net, copy.deepcopy(net).half(), drawn(net, 1.0)):
        try:
            prove_convex(version)
        except ConvexityError as error:
            raise AssertionError(f"not proved convex: {error}") from error


def its_minorants_stay_below(case: ConvexNetCase) -> None:
    """Level ``tight`` may take any minorant of the network's parts, where their cards have them."""
    for scale in (None, 1.0):
        check_minorants(drawn(build(case.make), scale), case.shape)


def its_steps_enclose_it(case: ConvexNetCase) -> None:
    """What level ``sound`` says about the network holds, where the cards of its parts have steps."""
    for scale in (None, 1.0):
        check_network_steps(drawn(build(case.make), scale), case.shape)


def agrees_with_the_truth(case: ConvexNetCase) -> None:
    """The same numbers as the slow, obvious forward pass, where the case has one."""
    if case.truth is None:
        return
    for scale in (None, 1.0):
        net = drawn(build(case.make), scale)
        u = grid((7, *case.shape), 2**-6, seed=11)
        slack = answers(net, u)[0].slack
        with torch.no_grad():
            found, truth = net(u), case.truth(net, u)
        require(close(found, truth, atol=slack), "not the obvious forward pass")


CONVEX_NET_LAWS: tuple[Law[ConvexNetCase], ...] = (
    one_number_per_row,
    deterministic_in_eval_mode,
    rows_do_not_mix,
    convex_for_any_weights,
    jensen_gap_is_nonnegative,
    gradient_is_a_subgradient,
    convex_after_training,
    comes_back_from_its_config,
    proved_convex,
    its_minorants_stay_below,
    its_steps_enclose_it,
    agrees_with_the_truth,
)


def check_convex_net(case: ConvexNetCase) -> None:
    """Every law of a convex network.

    Raises:
        AssertionError: naming the laws that are broken.

    >>> from featureconvex.nn import ConvexMLP
    >>> check_convex_net(ConvexNetCase(lambda: ConvexMLP(3, (4,)), shape=(3,)))
    """
    check_all(CONVEX_NET_LAWS, case)
