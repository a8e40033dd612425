"""A model from plain values: the feature map, the convex network, and what is trained."""

from dataclasses import asdict, dataclass
from itertools import chain, pairwise
from typing import Any

import torch
from torch import Tensor

from featureconvex.errors import UserError
from featureconvex.features import (
    AbsConcat,
    Center,
    Compose,
    Distances,
    FeatureMap,
    Flatten,
    MaxMin,
    NonexpansiveLinear,
    Scale,
    Scattering,
)
from featureconvex.models.model import FeatureConvexModel
from featureconvex.nn import ConvexConvNet, ConvexMLP
from featureconvex.training.architectures import Architecture
from featureconvex.training.points import Points

MAPS = ("identity", "abs", "abs-abs", "orthogonal", "distances", "scattering-1", "scattering-2")


@dataclass(frozen=True)
class ModelSpec:
    """A model for images, in plain values.

    Attributes:
        map: one of ``MAPS``, after the centring of the pixels: ``abs`` is ``(u, |u|)``, ``abs-abs`` the
            same twice, centred again in between; ``scattering-K`` has up to K moduli in a row.
        widths: of the layers of a learned map.
        constant: the map is scaled by this.
        hidden: widths of the convex network's hidden layers; empty makes it affine. A convolutional one has
            its features and depth here instead, see ``kernel``.
        kernel: 0 for a multilayer perceptron, else the first kernel of a convolutional network.
        activation, batch_norm, init, passthrough: as for :class:`featureconvex.nn.ConvexMLP`.
    """

    map: str = "identity"
    widths: tuple[int, ...] = ()
    constant: float = 1.0
    hidden: tuple[int, ...] = (64, 16)
    kernel: int = 0
    activation: str = "relu"
    batch_norm: bool = False
    init: str = "principled"
    passthrough: bool = True

    @classmethod
    def of(cls, values: dict[str, Any]) -> "ModelSpec":
        """From a cell's settings.

        Raises:
            UserError: an unknown map.
        """
        plain: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        made = cls(**plain)
        if made.map not in MAPS:
            raise UserError(f"unknown feature map {made.map!r}; use one of {', '.join(MAPS)}")
        return made

    def values(self) -> dict[str, Any]:
        """For a cell's settings."""
        return asdict(self)

    def architecture(self, shape: tuple[int, ...], norm: float) -> Architecture:
        """What to train on images of one shape (c, h, w)."""
        front = None
        if self.map.startswith("scattering"):
            front = Scattering((shape[0], shape[1], shape[2]), order=int(self.map[-1]))
        trained = None if front is None else 2.0
        return Architecture({self.map: self._build}, front, None if norm == trained else trained)

    def _build(self, points: Points) -> FeatureConvexModel:
        x = points.take(torch.arange(min(len(points), 2000)))
        maps = [Center(x.mean()), *self._layers(x)]
        if self.constant != 1:
            maps.append(Scale(self.constant))
        phi = Compose(*maps)
        with torch.no_grad():
            u = phi(x[:1])
        if self.kernel:
            features, depth = self.hidden
            net: ConvexConvNet | ConvexMLP = ConvexConvNet(
                u.shape[1],
                (u.shape[2], u.shape[3]),
                features=features,
                depth=depth,
                first_kernel=self.kernel,
                init=self.init,
            )
        else:
            net = ConvexMLP(
                u.numel(),
                self.hidden,
                passthrough=self.passthrough,
                batch_norm=self.batch_norm,
                activation=self.activation,
                init=self.init,
            )
        return FeatureConvexModel(phi, net)

    def _layers(self, x: Tensor) -> list[FeatureMap]:
        sizes = (x[0].numel(), *self.widths)
        flat = Flatten(tuple(x.shape[1:]))
        if self.map == "abs":
            return [AbsConcat()]
        if self.map == "abs-abs":
            u = AbsConcat()(x - x.mean())
            return [AbsConcat(), Center(u.mean(dim=0)), AbsConcat()]
        if self.map == "orthogonal":
            layers = [(NonexpansiveLinear(a, b), MaxMin()) for a, b in pairwise(sizes)]
            return [flat, *chain.from_iterable(layers)]
        if self.map == "distances":
            return [flat, *(Distances(a, b) for a, b in pairwise(sizes))]
        return []
