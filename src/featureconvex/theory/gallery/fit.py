"""A small classifier for points of the plane, trained on its certified radius in l2."""

from collections.abc import Callable

import torch

from featureconvex.features import AbsConcat, Compose, FeatureMap, Identity
from featureconvex.model import FeatureConvexModel
from featureconvex.nn import ConvexMLP, project_
from featureconvex.theory.gallery.points import Points
from featureconvex.training.architectures import learned_map
from featureconvex.training.losses import radius_cross_entropy, signed_radius

WIDTH, HIDDEN = 64, (32, 32)
TEMPERATURE = 0.05


def identity() -> FeatureMap:
    """``u``."""
    return Identity()


def absolute() -> FeatureMap:
    """``(u, |u|)``."""
    return Compose(AbsConcat())


def learned() -> FeatureMap:
    """Orthogonal layers and MaxMin: nonexpansive in l2, whatever training does."""
    first = learned_map("orthogonal", torch.zeros(1, 2), WIDTH)
    second = learned_map("orthogonal", torch.zeros(1, WIDTH), WIDTH)
    return Compose(*first, *second)


def fit(
    points: Points, make_map: Callable[[], FeatureMap] = identity, steps: int = 600, seed: int = 0
) -> FeatureConvexModel:
    """Train on all points at once; the model is in evaluation mode.

    Args:
        points: (n, 2) and whether each is sensitive.
        make_map: of the feature map.
        steps: of Adam.
        seed: of the initial weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        phi = make_map()
        net = ConvexMLP(phi.output_shape((2,))[0], HIDDEN)
    model = FeatureConvexModel(phi, net)
    x = torch.from_numpy(points[0]).float()
    sign = torch.from_numpy(points[1]).float() * 2 - 1
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-2, total_steps=steps)
    for _ in range(steps):
        u = phi(x)
        u = u if phi.learned else u.detach().requires_grad_()
        radius = signed_radius(phi, u, net(u), 2.0)
        loss = radius_cross_entropy(radius, sign, TEMPERATURE, TEMPERATURE)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        project_(model)
    return model.eval()


@torch.no_grad()
def accuracy(model: FeatureConvexModel, points: Points) -> float:
    """The share of points on their side."""
    flagged = model(torch.from_numpy(points[0]).float()) > 0
    return float((flagged.numpy() == points[1]).mean())
