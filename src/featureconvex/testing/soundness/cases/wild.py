"""The wild part of the campaign: legal arguments that nobody expects.

Any exponent from 1 to 1000, costs over twenty orders of magnitude and infinite ones, all of them scaled
up or down by a hundred orders at times, activations that overwrite their input, absolute values of
absolute values, boxes with coordinates that are fixed or may move one way.
"""

import copy
import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

import featureconvex as fc
from featureconvex.certificates import Domain
from featureconvex.features import AbsConcat, Center, Compose, FeatureMap, Identity, Scale
from featureconvex.testing.law import seeded
from featureconvex.testing.soundness.cases.case import Case, Setting
from featureconvex.testing.soundness.cases.random import hash_of
from featureconvex.testing.soundness.cases.random_models import Inputs, balance, reweighted

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu in place": lambda: nn.ReLU(inplace=True),
    "leaky relu in place": lambda: nn.LeakyReLU(0.1, inplace=True),
    "elu in place": lambda: nn.ELU(0.7, inplace=True),
    "celu in place": lambda: nn.CELU(0.5, inplace=True),
    "relu": nn.ReLU,
}
MAPS = ("identity", "abs", "abs of abs", "scaled", "center, abs of abs")
STYLES = ("initial", "normal", "few bits", "large")
SETTINGS = 8
EXPONENTS = (1.0, 2.0, math.inf)
# Decimal orders of magnitude that the costs of one threat spread over, and by which all are scaled.
SPREAD, FAR_OFF = 20.0, 100.0


def wild_case(turn: int, seed: int, points: int) -> Case:
    """The wild case of a turn: the same for the same arguments.

    Args:
        turn: successive ones go through all activations, feature maps and weights.
        seed: of the campaign.
        points: how many.
    """
    with seeded(hash_of(seed, turn, 77)):
        name = list(ACTIVATIONS)[turn % len(ACTIVATIONS)]
        features = MAPS[(turn // 2) % len(MAPS)]
        style = STYLES[turn % len(STYLES)]
        dtype = (torch.float64, torch.float32)[(turn // 3) % 2]
        width = int(torch.randint(2, 9, ()))
        phi = _map(features, width)
        size = phi.output_shape((width,))[0]
        net = fc.nn.ConvexMLP(size, (8, 6), activation=ACTIVATIONS[name]())
        reweighted(net, style)
        model = fc.FeatureConvexModel(phi, net).to(dtype).eval()
        # Away from 0 and 1, so that absolute values have something to bend.
        x = (Inputs((width,), points).unit() * 2 - 1).to(dtype)
        balance(model, x, share=0.2, close=1e-3)
        settings = [_setting(width) for _ in range(SETTINGS)]
        if turn % 4:
            # The one that level ``tight`` sees: other exponents take it twenty times as long.
            p = EXPONENTS[int(torch.randint(0, 3, ()))]
            settings[0] = (fc.Lp(p, wild_cost(width)), wild_domain(width))
        return Case(
            f"mlp, {name}",
            features,
            f"wild, {style}",
            model,
            x,
            settings,
            seed=turn,
            tight_every=SETTINGS,
            remake=partial(copy.deepcopy, model),
        )


def _map(name: str, width: int) -> FeatureMap:
    made: dict[str, Callable[[], FeatureMap]] = {
        "identity": Identity,
        "abs": AbsConcat,
        "abs of abs": lambda: Compose(AbsConcat(), AbsConcat()),
        "scaled": lambda: Scale(torch.randn(width) * 10 ** torch.randn(width), torch.randn(width)),
        "center, abs of abs": lambda: Compose(
            Center(torch.randn(width) / 2), AbsConcat(), AbsConcat()
        ),
    }
    return made[name]()


def wild_exponent() -> float:
    """1, 2 or inf half of the time, else logarithmically uniform in [1, 1000]."""
    if torch.rand(()) < 0.5:
        return EXPONENTS[int(torch.randint(0, 3, ()))]
    return min(1000.0, max(1.0, 10 ** float(3 * torch.rand(()))))


def wild_cost(width: int) -> Tensor | None:
    """(width,) float64 costs, a fifth of them infinite at times; or none."""
    draw = float(torch.rand(()))
    if draw < 0.2:
        return None
    cost = 10 ** (SPREAD * (torch.rand(width).double() - 0.5))
    if draw < 0.4:
        cost = torch.full_like(cost, float(cost[0]))
    if draw > 0.9:
        cost = cost * 10 ** float(FAR_OFF * (2 * torch.rand(()) - 1))
    if draw > 0.6:
        fixed = torch.rand(width) < 0.2
        # One has to be left that can change.
        fixed[int(torch.randint(0, width, ()))] = False
        cost = cost.masked_fill(fixed, math.inf)
    return cost


def _setting(width: int) -> Setting:
    return fc.Lp(wild_exponent(), wild_cost(width)), wild_domain(width)


def wild_domain(width: int) -> Domain:
    """Everywhere, a box of any size around all points, or one with fixed and one-way coordinates."""
    draw = float(torch.rand(()))
    if draw < 0.35:
        return fc.Unbounded()
    half = 10 ** float(4 * torch.rand(()))
    if draw < 0.65:
        return fc.Box(-half, half)
    return fc.Box(
        -half,
        half,
        immutable=torch.rand(width) < 0.25,
        direction=torch.randint(-1, 2, (width,)),
    )
