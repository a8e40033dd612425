"""The random part of the campaign: shard by shard every network, feature map, weight and threat."""

import itertools
import math

import torch
from torch import Tensor

import featureconvex as fc
from featureconvex.certificates import Domain, Threat
from featureconvex.norms import NORMS
from featureconvex.testing.law import seeded
from featureconvex.testing.soundness.attack_points import foolbox_knows
from featureconvex.testing.soundness.cases.case import Case, Setting
from featureconvex.testing.soundness.cases.random_features import (
    FEATURES,
    IMAGES,
    ROWS,
    feature_map,
)
from featureconvex.testing.soundness.cases.random_models import (
    NETWORKS,
    WEIGHTS,
    Inputs,
    balance,
    cancelling,
    reweighted,
    rounding_trap,
)

# Every so many shards, a case made to break certificates that do not round towards safety.
HARD_EVERY = 8
# Settings of one case, of all that exist.
SETTINGS = 12


def random_case(number: int, seed: int, points: int) -> Case:
    """The case of a shard: the same for the same arguments.

    Args:
        number: of the shard; successive ones go through all kinds.
        seed: of the campaign.
        points: how many.
    """
    with seeded(hash_of(seed, number)):
        if number % HARD_EVERY == HARD_EVERY - 1:
            return _hard(number, points)
        return _usual(number - number // HARD_EVERY, points)


def hash_of(*numbers: int) -> int:
    """One seed from several, the same everywhere.

    >>> hash_of(0, 1) != hash_of(1, 0)
    True
    """
    mixed = 0
    for number in numbers:
        mixed = (mixed * 6364136223846793005 + number + 1442695040888963407) % 2**63
    return mixed


def _usual(turn: int, points: int) -> Case:
    round_, place = divmod(turn, len(FEATURES))
    features = FEATURES[place]
    networks = [name for name in NETWORKS if features not in ROWS or "convnet" not in name]
    # A step without common factors with 10 or 13 networks: all pairs come up.
    network = networks[(3 * round_ + place) % len(networks)]
    # Drawn, not counted: no kind of map may see one precision or style only.
    weights = WEIGHTS[int(torch.randint(0, len(WEIGHTS), ()))]
    dtype = (torch.float32, torch.float64)[int(torch.randint(0, 2, ()))]
    shape = _shape(network, features)
    phi = feature_map(features, shape, weights)
    net = NETWORKS[network](phi.output_shape(shape))
    reweighted(net, weights)
    model = fc.FeatureConvexModel(phi, net).to(dtype).eval()
    x = Inputs(shape, points).unit().to(dtype)
    balance(model, x, share=0.2, close=(1e-7, 1e-13, 0.1)[turn % 3])
    settings = _some(_settings(shape), SETTINGS if features != "scaled abs" else SETTINGS // 2)
    known = [k for k, setting in enumerate(settings) if foolbox_knows(*setting)]
    return Case(network, features, weights, model, x, settings, None, known[:1], turn)


def _shape(network: str, features: str) -> tuple[int, ...]:
    if features == "scattering":
        return (1, 8, 8) if torch.rand(()) < 0.7 else (3, 4, 4)
    if "convnet" in network or features in IMAGES:
        return (1, 6, 6) if torch.rand(()) < 0.5 else (2, 5, 5)
    return (int(torch.randint(3, 17, ())),)


def _settings(shape: tuple[int, ...]) -> list[Setting]:
    """Every kind of threat in every kind of domain."""
    cost = torch.rand(shape).double() * 4 + 0.25
    fixed = torch.where(torch.rand(shape) < 0.3, math.inf, cost)
    fixed.view(-1)[0] = 1.0
    box: Domain = fc.Box(0, 1)
    restricted = fc.Box(
        0, 1, immutable=torch.rand(shape) < 0.2, direction=torch.randint(-1, 2, shape)
    )
    groups = torch.arange(math.prod(shape)).reshape(shape) // 2
    lp: list[Threat] = [fc.Lp(p) for p in (*NORMS, 3.0, 1.5)]
    lp += [fc.Lp(p, costs) for p, costs in itertools.product(NORMS, (cost, fixed))]
    counts: list[Threat] = [fc.L0(), fc.L0(groups), fc.Patch(min(2, shape[-1]))]
    settings: list[Setting] = [(threat, fc.Unbounded()) for threat in lp]
    settings += [(threat, box) for threat in (*lp, *counts)]
    settings += [(threat, restricted) for threat in (*lp[:3], lp[6], *counts)]
    return settings


def _some(settings: list[Setting], count: int) -> list[Setting]:
    """A random choice that always has the three norms, with and without the box."""
    chosen = torch.randperm(len(settings))[: max(0, count - 4)].tolist()
    always = [k for k in (0, 1, 2, 11 + int(torch.randint(0, 3, ()))) if k not in chosen]
    return [settings[k] for k in (*always, *chosen)]


def _hard(number: int, points: int) -> Case:
    turn = number // HARD_EVERY
    if turn % 2:
        return _trap(turn, points)
    dimension = 6
    model, slope = cancelling(dimension)
    x = torch.cat(
        (torch.zeros(points // 4, dimension), torch.randn(points - points // 4, dimension))
    )
    settings: list[Setting] = [(fc.Lp(p), fc.Unbounded()) for p in (*NORMS, 3.0)]
    return Case(
        "mlp without passthrough", "identity", "cancelling", model, x.double(), settings, slope
    )


def _trap(turn: int, points: int) -> Case:
    dimension = 60
    model = rounding_trap(dimension)
    start = torch.linspace(-1, 1, dimension)
    x = start + _ulps((points, dimension)) * start
    settings: list[Setting] = [(fc.Lp(p), fc.Unbounded()) for p in NORMS]
    settings += [(fc.Lp(p), fc.Box(-2, 2)) for p in NORMS]
    return Case("affine", "identity", "rounding trap", model, x, settings, seed=turn)


def _ulps(shape: tuple[int, int]) -> Tensor:
    return torch.randint(-64, 65, shape) * 2.0**-24
