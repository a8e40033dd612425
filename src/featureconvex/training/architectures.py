"""Which model a recipe trains on which kind of data."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from featureconvex.features import AbsConcat, Center, Compose, FeatureMap, standardise
from featureconvex.model import FeatureConvexModel
from featureconvex.nn import ConvexConvNet, ConvexMLP
from featureconvex.training.points import Points
from featureconvex.training.progress import Ticker, silent


@dataclass(frozen=True)
class Architecture:
    """A model in two parts: a fixed front that is computed once, and what is trained behind it.

    Attributes:
        build: makes a fresh untrained model that takes the front's output, on the device to train on.
        front: a fixed feature map, or None. Training on its output saves computing it every epoch.
    """

    build: Callable[[], FeatureConvexModel]
    front: FeatureMap | None = None

    def join(self, model: FeatureConvexModel) -> FeatureConvexModel:
        """The trained model with the front before it."""
        if self.front is None:
            return model
        phi = Compose(self.front, model.feature_map)
        return FeatureConvexModel(phi, model.convex_net, float(model.tau)).to(model.device)

    def behind(self, points: Points) -> Points:
        """The points behind the front."""
        return points if self.front is None else Points(mapped(self.front, points.x), points.y)


@torch.no_grad()
def mapped(front: FeatureMap, x: Tensor, tick: Ticker = silent, batch_size: int = 250) -> Tensor:
    """``front(x)`` in batches, (n, ...) -> (n, ...)."""
    parts = []
    for batch in torch.split(x, batch_size):
        parts.append(front(batch))
        tick(len(batch), "")
    return torch.cat(parts)


def table_architecture(
    x: Tensor, hidden: tuple[int, ...], device: torch.device
) -> tuple[Architecture, Tensor]:
    """An MLP on standardised features, and the cost that measures budgets in standard deviations.

    Features are standardised inside the model, so radii stay in the units of the columns.

    Args:
        x: (n, d) training inputs.
        hidden: widths of the convex network.
        device: where the model lives.

    Returns:
        The architecture, and (d,) float64 costs, ``1 / standard deviation`` (1 for a constant column).
    """

    def build() -> FeatureConvexModel:
        return FeatureConvexModel(standardise(x), ConvexMLP(x.shape[1], hidden)).to(device)

    return Architecture(build), standardise(x).scale.abs()


def image_architecture(x: Tensor, task: str, recipe: str, device: torch.device) -> Architecture:
    """The model for images (n, c, h, w).

    ``paper``: the paper's architectures (section 4): the MLP for MNIST and Malimg, the small ConvNet
    for Fashion, the larger one on ``(x - mu, |x - mu|)`` for CIFAR-10. Otherwise the default recipe's
    MLP with passthrough and no batch norm.
    """
    channels, height, width = x.shape[1:]
    mean = x.double().mean(dim=(0, 2, 3)).reshape(channels, 1, 1)
    family = task.split("-")[0] if recipe == "paper" else ""

    def build() -> FeatureConvexModel:
        phi: FeatureMap = Center(mean)
        net: ConvexMLP | ConvexConvNet
        size = (height, width)
        if family == "fashion":
            net = ConvexConvNet(channels, size, features=4, depth=2, first_kernel=5, init="paper")
        elif family == "cifar10":
            phi = Compose(phi, AbsConcat())
            net = ConvexConvNet(
                2 * channels, size, features=16, depth=4, first_kernel=11, init="paper"
            )
        elif recipe == "paper":
            net = ConvexMLP(x[0].numel(), (200, 50), batch_norm=True, init="paper")
        else:
            net = ConvexMLP(x[0].numel(), (200, 50))
        return FeatureConvexModel(phi, net).to(device)

    return Architecture(build)
