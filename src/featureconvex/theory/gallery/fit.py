"""A small classifier for points of the plane, trained on its certified radius in l2."""

from collections.abc import Callable

import torch

from featureconvex import training
from featureconvex.features import AbsConcat, Compose, FeatureMap, Identity
from featureconvex.models.model import FeatureConvexModel
from featureconvex.nn import ConvexMLP
from featureconvex.theory.gallery.points import Points
from featureconvex.training.architectures import learned_map
from featureconvex.training.validation import outputs

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
    points: Points, make_map: Callable[[], FeatureMap] = identity, epochs: int = 150, seed: int = 0
) -> FeatureConvexModel:
    """Train on the points, and balance the threshold on them; the model is in evaluation mode.

    Args:
        points: (n, 2) and whether each is sensitive.
        make_map: of the feature map.
        epochs: of training, four steps each.
        seed: of the initial weights and the order.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        phi = make_map()
        net = ConvexMLP(phi.output_shape((2,))[0], HIDDEN)
    model = FeatureConvexModel(phi, net)
    data = training.Points(torch.from_numpy(points[0]).float(), torch.from_numpy(points[1]).long())
    recipe = training.Recipe(
        "gallery", temperature=TEMPERATURE, epochs=epochs, batch_size=60, learning_rate=2e-2
    )
    training.train(model, recipe, data, data, seed=seed)
    model.eval().tau.fill_(outputs(model, data, 2.0).calibrated().tau)
    return model


@torch.no_grad()
def accuracy(model: FeatureConvexModel, points: Points) -> float:
    """The share of points on their side."""
    flagged = model(torch.from_numpy(points[0]).float()) > 0
    return float((flagged.numpy() == points[1]).mean())
