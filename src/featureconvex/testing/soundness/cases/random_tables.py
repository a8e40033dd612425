"""The part of the campaign about tables: an attacker who edits categories and moves numbers."""

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

import featureconvex as fc
from featureconvex.certificates import Domain, Threat
from featureconvex.features import (
    AbsConcat,
    Center,
    Compose,
    FeatureMap,
    Identity,
    NonexpansiveLinear,
    Scale,
)
from featureconvex.testing.law import seeded
from featureconvex.testing.soundness.cases.case import Case, Setting
from featureconvex.testing.soundness.cases.random import hash_of
from featureconvex.testing.soundness.cases.random_models import WEIGHTS, balance, reweighted

MAPS = ("identity", "scale", "abs", "orthogonal")
SETTINGS = 6
# An edit that cannot be made, of all.
FORBIDDEN = 0.2


def table_case(turn: int, seed: int, points: int) -> Case:
    """The table of a turn: some numbers, categories of 2 to 4 levels, and booleans.

    Args:
        turn: successive ones go through all feature maps.
        seed: of the campaign.
        points: rows.
    """
    with seeded(hash_of(seed, turn, 5)):
        numbers, booleans = int(torch.randint(1, 5, ())), int(torch.randint(0, 3, ()))
        sizes = [int(torch.randint(2, 5, ())) for _ in range(int(torch.randint(1, 4, ())))]
        blocks = _blocks(numbers, [*sizes, *[1] * booleans])
        width = numbers + sum(sizes) + booleans
        features = MAPS[turn % len(MAPS)]
        weights = WEIGHTS[int(torch.randint(0, len(WEIGHTS), ()))]
        dtype = (torch.float32, torch.float64)[int(torch.randint(0, 2, ()))]
        phi = _map(features, width)
        net = fc.nn.ConvexMLP(phi.output_shape((width,))[0], (8, 5))
        reweighted(net, weights)
        model = fc.FeatureConvexModel(phi, net).to(dtype).eval()
        x = _rows(numbers, blocks, width, points).to(dtype)
        balance(model, x, share=0.2, close=(1e-7, 0.1)[turn % 2])
        settings = [_setting(numbers, blocks, width) for _ in range(SETTINGS)]
        name = "mlp of a table"
        return Case(name, features, weights, model, x, settings, seed=turn, tight_every=3)


def _blocks(first: int, sizes: list[int]) -> list[list[int]]:
    """Coordinates in a row, from ``first`` on."""
    ends = torch.tensor([0, *sizes]).cumsum(0).add(first).tolist()
    return [list(range(a, b)) for a, b in pairwise(ends)]


def _map(name: str, width: int) -> FeatureMap:
    made: dict[str, Callable[[], FeatureMap]] = {
        "identity": Identity,
        "scale": lambda: Scale(torch.randn(width) * 10 ** torch.randn(width), torch.randn(width)),
        "abs": lambda: Compose(Center(torch.rand(width)), AbsConcat()),
        "orthogonal": lambda: NonexpansiveLinear(width, 6),
    }
    return made[name]()


def _rows(numbers: int, blocks: list[list[int]], width: int, count: int) -> Tensor:
    """Numbers in [-1, 1], one level of every category."""
    x = torch.zeros(count, width)
    x[:, :numbers] = torch.rand(count, numbers) * 2 - 1
    for block in blocks:
        if len(block) == 1:
            x[:, block[0]] = torch.randint(0, 2, (count,)).float()
        else:
            x[torch.arange(count), torch.randint(block[0], block[-1] + 1, (count,))] = 1.0
    return x


def _setting(numbers: int, blocks: list[list[int]], width: int) -> Setting:
    cost = 10 ** torch.randn(width).double()
    cost = torch.where(torch.rand(width) < FORBIDDEN, math.inf, cost)
    whole = [place for place in range(numbers) if torch.rand(()) < FORBIDDEN]
    threat: Threat = fc.Edits(cost, blocks, [_price(len(block)) for block in blocks], whole)
    domain: Domain = fc.Box(-1, 1) if torch.rand(()) < 0.5 else fc.Unbounded()
    return threat, domain


def _price(levels: int) -> Tensor:
    """One price, or one from every level to every other."""
    if torch.rand(()) < 0.5:
        return 10 ** torch.randn(()).double()
    levels = max(2, levels)
    prices = 10 ** torch.randn(levels, levels).double()
    return torch.where(torch.rand(levels, levels) < FORBIDDEN, math.inf, prices)
