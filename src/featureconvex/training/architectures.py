"""Which model a recipe trains on which kind of data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, pairwise

import torch
from torch import Tensor

from featureconvex.features import (
    AbsConcat,
    AveragePool,
    Center,
    Compose,
    Distances,
    FeatureMap,
    Flatten,
    Log1p,
    MaxMin,
    NonexpansiveLinear,
    Scale,
    Scattering,
    standardise,
)
from featureconvex.given import one_of
from featureconvex.models.model import FeatureConvexModel
from featureconvex.nn import ConvexConvNet, ConvexMLP
from featureconvex.progress import Ticker, silent
from featureconvex.training.points import Points
from featureconvex.training.recipes import WIDE
from featureconvex.training.sparse import SparseRows


@dataclass(frozen=True)
class Architecture:
    """A model in two parts: a fixed front that is computed once, and what is trained on its output.

    Attributes:
        builds: by the name of the feature map, from the points to fit, (n, ...) as the front gives them, a
            fresh untrained model for them, on the device to train on. Of several, pilots choose one.
        front: a fixed feature map, or None. Training on its output saves computing it every epoch.
        norm: exponent of the norm to train in on the output of the front, whatever norm is asked for: the
            one that bounds all others through the front; None: the one asked for.
    """

    builds: Mapping[str, Callable[[Points], FeatureConvexModel]]
    front: FeatureMap | None = None
    norm: float | None = None

    def join(self, model: FeatureConvexModel) -> FeatureConvexModel:
        """The trained model with the front before it."""
        if self.front is None:
            return model
        phi = self.whole(model.feature_map)
        return FeatureConvexModel(phi, model.convex_net, float(model.tau)).to(model.device)

    def whole(self, tail: FeatureMap) -> FeatureMap:
        """A trained map with the front before it."""
        if self.front is None:
            return tail
        return Compose(self.front, *(tail.parts() if isinstance(tail, Compose) else [tail]))

    def after_front(self, points: Points) -> Points:
        """The points as the front gives them."""
        return points if self.front is None else Points(mapped(self.front, points.x), points.y)


@torch.no_grad()
def mapped(front: FeatureMap, x: Tensor, tick: Ticker = silent, batch_size: int = 250) -> Tensor:
    """``front(x)`` in batches, (n, ...) -> (n, ...)."""
    parts = []
    for batch in torch.split(x, batch_size):
        parts.append(front(batch))
        tick(len(batch), "")
    return torch.cat(parts)


# Of learned maps for tables, and of the convex network after them.
TABLE_WIDTH = 64
TABLE_HIDDEN = (200, 50)
MAPS = ("identity", "orthogonal", "distances", "entries")


def learned_map(name: str, x: Tensor, width: int) -> list[FeatureMap]:
    """The layers of a learned nonexpansive map for inputs like ``x`` (n, ...); none for ``identity``.

    Args:
        name: one of ``MAPS``: ``orthogonal`` is nonexpansive in l2, ``distances`` in linf, ``entries``
            from l1 to linf.
        x: inputs.
        width: of every layer, even.

    Raises:
        UserError: another name.
    """
    one_of("feature_map", name, MAPS)
    size = x[0].numel()
    flat: list[FeatureMap] = [] if x.ndim == 2 else [Flatten(tuple(x.shape[1:]))]
    if name == "identity":
        return []
    if name == "orthogonal":
        layers = [(NonexpansiveLinear(a, width), MaxMin()) for a in (size, width)]
        return [*flat, *chain.from_iterable(layers)]
    if name == "distances":
        return [*flat, Distances(size, width), Distances(width, width)]
    return [*flat, NonexpansiveLinear(size, width, "entries"), MaxMin()]


def table_map(norm: float) -> str:
    """The learned map for tables and a norm: orthogonal layers for l2, none where they do not help."""
    return "orthogonal" if 2 <= norm < WIDE else "identity"


def table_architecture(
    x: Tensor | SparseRows,
    hidden: tuple[int, ...],
    device: torch.device,
    feature_map: str = "identity",
) -> tuple[Architecture, Tensor]:
    """An MLP on standardised features, and the cost that measures budgets in standard deviations.

    Features are standardised inside the model, so radii stay in the units of the columns.

    Args:
        x: (n, d) training inputs.
        hidden: widths of the convex network.
        device: where the model lives.
        feature_map: learned after the standardisation, see :func:`learned_map`.

    Returns:
        The architecture, and (d,) float64 costs, ``1 / standard deviation`` (1 for a constant column).
    """

    # From all training points, so that the standard deviations are those of the cost.
    scaling = x.standardised() if isinstance(x, SparseRows) else standardise(x)
    features = x.shape[1]

    def build(_: Points) -> FeatureConvexModel:
        phi: FeatureMap = Scale(scaling.scale, scaling.shift)
        layers = learned_map(feature_map, x[:1], TABLE_WIDTH)
        if layers:
            phi = Compose(phi, *layers)
        width = TABLE_WIDTH if layers else features
        return FeatureConvexModel(phi, ConvexMLP(width, hidden)).to(device)

    return Architecture({feature_map: build}), scaling.scale.abs()


def count_architecture(
    x: Tensor, hidden: tuple[int, ...], device: torch.device
) -> tuple[Architecture, Tensor]:
    """An MLP on standardised logarithms of counts ``log(1 + x)``, and the units it is trained in.

    The logarithm is a front: radii are trained on its output, in its standard deviations, while
    certificates are about the counts.

    Args:
        x: (n, d) training counts, >= 0.
        hidden: widths of the convex network.
        device: where the model lives.

    Returns:
        The architecture, and (d,) float64, one over the standard deviations after the logarithm.
    """
    front = Log1p()
    architecture, cost = table_architecture(mapped(front, x), hidden, device)
    return replace(architecture, front=front), cost


# Widths of the convex network after a learned map.
HEAD = (64, 16)


def image_architecture(
    shape: tuple[int, ...],
    task: str,
    recipe: str,
    norm: float,
    device: torch.device,
    head: tuple[int, ...] = HEAD,
    last_points: int = 2,
) -> Architecture:
    """The model for images of one shape (c, h, w), to be robust in the norm with exponent ``norm``.

    ``paper``: the paper's architectures (section 4). ``fixed``: a convex MLP with passthrough and no batch
    norm: on the centred pixels of grey images, and for colour images on a fixed wavelet scattering
    transform, which keeps what tells natural images apart. That is nonexpansive in l2, and what it proves
    in linf it proves through l2, so it is trained for l2 there, too. Below l2 such a detour is worth a
    tenth of what pixels ``(u, |u|)`` prove.

    With ``head=()`` a learned map is followed by one affine function, as in 1-Lipschitz
    networks: on digits, whose classes are nearly alike, large temperatures gain more radius with it. Layers
    of distances then end in ``last_points``, two as distance nets do: one affine function of many distances
    gained less.

    ``default`` learns a map before the network: for l2 orthogonal layers, for linf layers of distances, of
    colour images between means over 2 x 2 pixels. Below l2 grey images keep their pixels, which certified
    more than learned rows of bounded entries did.
    """
    if recipe == "paper":
        return _on(device, paper=lambda x: _paper_model(x, task.split("-")[0]))
    if shape[0] == 3 and norm < 2:
        return _on(device, folded=lambda x: _mlp(x, (64, 16), Center(x.mean(dim=0)), AbsConcat()))
    learned = recipe == "default"
    points = (512, 512) if head else (512, 512, last_points)
    if shape[0] == 3 and learned and norm >= WIDE:
        return _on(device, distances=lambda x: _distances_of_means(x, head, points))
    if shape[0] == 3:
        front = Scattering((3, shape[1], shape[2]), scales=3, orientations=4).to(device)
        layers, after_map = ((256, 256), head) if learned else ((), HEAD)
        after = _on(
            device,
            scattering=lambda x: _mlp(
                x, after_map, Center(x.mean(dim=0)), *_orthogonal(x, *layers)
            ),
        )
        return replace(after, front=front, norm=2.0)
    if not learned or norm < 2:
        return _on(device, identity=_pixels)
    if norm < WIDE:
        return _on(
            device,
            orthogonal=lambda x: _mlp(x, head, Center(x.mean()), *_orthogonal(x, 256, 256, 256)),
        )
    return _on(
        device,
        distances=lambda x: _mlp(x, head, Center(x.mean()), *_distances(x, *points)),
    )


# Points that layers of distances end in before affine scores of several classes.
CLASS_POINTS = 32


def class_architecture(
    shape: tuple[int, ...],
    task: str,
    norm: float,
    device: torch.device,
    head: tuple[int, ...] | None = None,
) -> Architecture:
    """The model of recipe ``default`` for images of several classes, each with a score of its own.

    As :func:`image_architecture`, but in linf scores are affine in few distances: of digits they certify
    more than convex networks after many, of garments as much, and train in half the time.

    Args:
        shape: of one image, (c, h, w).
        task: by its name.
        norm: exponent.
        device: where the model lives.
        head: widths of each score's hidden layers after a learned map; None: the choice above.
    """
    if head is None:
        head = HEAD if norm < WIDE else ()
    return image_architecture(shape, task, "default", norm, device, head, CLASS_POINTS)


def untrained(architecture: Architecture, points: Points, seed: int) -> FeatureConvexModel:
    """The model of an architecture without a choice of several, before any training."""
    (build,) = architecture.builds.values()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(points)


def untrained_map(architecture: Architecture, points: Points, seed: int) -> FeatureMap:
    """The feature map of the same."""
    return untrained(architecture, points, seed).feature_map


def _on(device: torch.device, **builds: Callable[[Tensor], FeatureConvexModel]) -> Architecture:
    def placed(build: Callable[[Tensor], FeatureConvexModel], points: Points) -> FeatureConvexModel:
        return build(points.x).to(device)

    return Architecture({name: partial(placed, build) for name, build in builds.items()})


def _mlp(x: Tensor, hidden: tuple[int, ...], *maps: FeatureMap) -> FeatureConvexModel:
    phi = maps[0] if len(maps) == 1 else Compose(*maps)
    return FeatureConvexModel(phi, ConvexMLP(phi(x[:1]).numel(), hidden))


def _distances_of_means(
    x: Tensor, head: tuple[int, ...], points: tuple[int, ...]
) -> FeatureConvexModel:
    """Means are nonexpansive in linf: a quarter of the numbers, and nearly as much to see."""
    pooled = AveragePool(tuple(x.shape[1:]), min(2, *x.shape[2:]))
    return _mlp(x, head, Center(x.mean()), pooled, *_distances(pooled(x[:1]), *points))


def _pixels(x: Tensor) -> FeatureConvexModel:
    return _mlp(x, (400, 100), Center(x.mean()))


def _orthogonal(x: Tensor, *widths: int) -> list[FeatureMap]:
    """Orthogonal layers with sorted pairs between them: 1-Lipschitz in l2; nothing for no widths."""
    if not widths:
        return []
    sizes = (x[0].numel(), *widths)
    layers = [(NonexpansiveLinear(a, b), MaxMin()) for a, b in pairwise(sizes)]
    return [Flatten(tuple(x.shape[1:])), *chain.from_iterable(layers)]


def _distances(x: Tensor, *neurons: int) -> list[FeatureMap]:
    """Layers of linf distances."""
    sizes = (x[0].numel(), *neurons)
    return [Flatten(tuple(x.shape[1:])), *(Distances(a, b) for a, b in pairwise(sizes))]


def _paper_model(x: Tensor, family: str) -> FeatureConvexModel:
    """The MLP for MNIST and Malimg, the small ConvNet for Fashion, the larger one for CIFAR-10."""
    channels, *size = x.shape[1:]
    height, width = size
    mean = x.double().mean(dim=(0, 2, 3)).reshape(channels, 1, 1)
    phi: FeatureMap = Center(mean)
    net: ConvexMLP | ConvexConvNet = ConvexMLP(
        x[0].numel(), (200, 50), batch_norm=True, init="paper"
    )
    if family == "fashion":
        net = ConvexConvNet(
            channels, (height, width), features=4, depth=2, first_kernel=5, init="paper"
        )
    if family == "cifar10":
        phi = Compose(phi, AbsConcat())
        net = ConvexConvNet(
            2 * channels, (height, width), features=16, depth=4, first_kernel=11, init="paper"
        )
    return FeatureConvexModel(phi, net)
