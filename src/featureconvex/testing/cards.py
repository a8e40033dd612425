"""What the card of a building block says, held against the block itself."""

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from featureconvex.certificates.kinked import kinked_form
from featureconvex.certificates.levels.sound import sound_line
from featureconvex.certificates.relaxation import Relaxation
from featureconvex.errors import UserError
from featureconvex.features import FeatureMap, Identity
from featureconvex.models.model import FeatureConvexModel
from featureconvex.rounding import Ball, Graph
from featureconvex.rounding.directed import DTYPES, FLOAT64
from featureconvex.rounding.steps import Mode
from featureconvex.testing.law import require
from featureconvex.testing.weights import grid

# Far above what a few float64 operations round, far below any fault.
ROUNDING = 1e-11


@torch.no_grad()
def check_separable_form(phi: FeatureMap, pairs: Sequence[tuple[Tensor, Tensor]]) -> None:
    """``<v, phi(y) - phi(x)>`` is at least the sum of the form's negative terms, in domains that hold y."""
    for x, y in pairs:
        before, after = phi(x), phi(y)
        v = grid(tuple(before.shape), 2**-8, seed=35)
        fall = (v * (before - after)).flatten(1).sum(1)
        size = (v * before).abs().flatten(1).sum(1) + (v * after).abs().flatten(1).sum(1)
        far = torch.full_like(x, math.inf)
        for lo, hi in ((-far, far), (torch.minimum(x, y), torch.maximum(x, y) + 1)):
            form = kinked_form(phi, v, x, lo, hi)
            if form is None:
                return
            terms = form.w * (y - x)
            size = size + terms.abs().flatten(1).sum(1)
            if form.b is not None and form.z is not None:
                terms = terms + form.b * ((y - form.z).abs() - (x - form.z).abs())
                size = size + (form.b * (y - x)).abs().flatten(1).sum(1)
            most = (-terms).clamp_min(0).flatten(1).sum(1)
            require(
                (fall <= most + ROUNDING * size).all(), "falls by more than its kinked_form says"
            )


@torch.no_grad()
def check_map_steps(phi: FeatureMap, shape: tuple[int, ...]) -> None:
    """Evaluations near an input lie in the balls of the steps, and changes below what they pull back."""
    graph = Graph(torch.float64)
    try:
        phi.rounding_steps(graph, 0)
    except UserError:
        return  # refused by name
    x, way = grid((32, *shape), 2**-8, seed=36), grid((32, *shape), 2**-8, seed=37).clamp(-1, 1)
    for reach in (0.0, 2**-20, 0.5):
        y = x + reach * way
        ball = Ball(x, torch.full_like(x, reach))
        out, trace = graph.forward(ball, Mode(FLOAT64, relaxed=False))
        size = 1 + out.centre.abs()
        apart = (phi(y) - out.centre).abs()
        require((apart <= out.radius + ROUNDING * size).all(), "leaves the balls of its steps")
        p = grid(tuple(out.centre.shape), 2**-8, seed=38).abs()
        changed = (p * (phi(y) - phi(x)).abs()).flatten(1).sum(1)
        rate, moved = graph.pull(p, trace.shapes), reach * way
        single = [torch.Size((1, *size[1:])) for size in trace.shapes]
        require(torch.equal(graph.pull(p, single), rate), "its weights need as many rows as inputs")
        felt = (rate * moved.abs()).flatten(1).sum(1)
        if graph.mixes:
            felt = rate.flatten(1).amax(1) * moved.flatten(1).norm(dim=1)
        lost = ROUNDING * (p * size).flatten(1).sum(1)
        require((changed <= felt + lost).all(), "changes more than its steps pull back")
    narrow = Graph(torch.float32)
    low, x = copy.deepcopy(phi).float(), x.float()
    low.rounding_steps(narrow, 0)
    out, _ = narrow.forward(Ball.exact(x), Mode(DTYPES[torch.float32], relaxed=False))
    apart = (low(x).double() - out.centre).abs()
    require((apart <= out.radius * (1 + 1e-6)).all(), "rounds more in float32 than its steps say")


def check_minorants(net: nn.Module, shape: tuple[int, ...]) -> None:
    """Whatever the choices, the relaxed network stays below the network; the tangents' choices touch it."""
    model = FeatureConvexModel(Identity(), net).double().eval()
    try:
        relaxation = Relaxation(model)
    except UserError:
        return  # refused by name
    u, others = grid((12, *shape), 2**-6, seed=12), grid((24, *shape), 2**-4, seed=13)
    tangents = relaxation.tangent_choices(u)
    for seed in range(3):
        choices = [c + (seed / 2) * grid(tuple(c.shape), 2**-8, seed).to(c) for c in tangents]
        line = relaxation.minorant(u, choices)
        with torch.no_grad():
            slope, here, there = line.slope.flatten(1), model(u), model(others)
            heights = line.value[:, None] + slope @ others.flatten(1).T
            heights = heights - (slope * u.flatten(1)).sum(1, keepdim=True)
            size = 1 + heights.abs() + slope.abs().sum(1, keepdim=True) + there.abs()
            require((heights <= there + 1e-9 * size).all(), "a minorant is above the network")
            if seed == 0:
                apart = (line.value - here).abs()
                require((apart <= 1e-9 * (1 + here.abs() + slope.abs().sum(1))).all(), "no tangent")


@torch.no_grad()
def check_network_steps(net: nn.Module, shape: tuple[int, ...]) -> None:
    """The sound line stays below the network everywhere, in exact and in single precision, and near it."""
    model = FeatureConvexModel(Identity(), net).double().eval()
    u, others = grid((12, *shape), 2**-6, seed=14), grid((24, *shape), 2**-4, seed=15)
    for arithmetic, lost in (("real", 1e-9), ("float32", 1e-2)):
        try:
            line = sound_line(model, u, arithmetic)
        except UserError:
            return  # refused by name
        judge = model if arithmetic == "real" else copy.deepcopy(model).float()
        here, there = (judge(part.to(judge.dtype)) for part in (u, others))
        ways = others.flatten(1)[None] - u.flatten(1)[:, None]
        slope, slack = line.slope.flatten(1)[:, None], line.slack.flatten(1)[:, None]
        heights = line.value[:, None] + (slope * ways - slack * ways.abs()).sum(2)
        size = 1 + here.abs()[:, None] + (slope * ways).abs().sum(2)
        require(
            (heights <= there + ROUNDING * size).all(), f"its steps are above it ({arithmetic})"
        )
        near = here - line.value <= lost * (1 + here.abs() + slope.abs().sum(2)[:, 0])
        require(near.all(), f"its steps compute something else ({arithmetic})")
