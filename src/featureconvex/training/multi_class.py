"""Training of several classes at once: how far every point is from being taken for another class."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from featureconvex.ambient import undisturbed
from featureconvex.errors import UserError
from featureconvex.features import FeatureMap
from featureconvex.models.model import FeatureConvexModel
from featureconvex.models.multi_class import MultiClassModel
from featureconvex.nn import ConvexMLP
from featureconvex.progress import Ticker, progress_bar
from featureconvex.training.architectures import Architecture, untrained
from featureconvex.training.augmentation import Augmentation
from featureconvex.training.checkpoint import Checkpoint
from featureconvex.training.epochs import History, Run
from featureconvex.training.fit import fingerprint, split_points
from featureconvex.training.losses import SMALLEST_SLOPE
from featureconvex.training.points import Points
from featureconvex.training.recipes import Recipe

# Points of every class between whose nearest neighbours the distance of classes is measured.
SAMPLE = 200
# Share of that distance which the temperature is, where none is given.
SHARE = 1 / 16


@dataclass(frozen=True)
class FittedClasses:
    """A trained model of several classes and how it came about.

    Attributes:
        model: in eval mode.
        recipe: as used, its temperature filled in.
        history: one record per epoch.
        n_train: points used for fitting.
    """

    model: MultiClassModel
    recipe: Recipe
    history: History
    n_train: int


def fit_architecture(
    architecture: Architecture,
    recipe: Recipe,
    points: Points,
    *,
    hidden: Sequence[int] | None = None,
    seed: int = 0,
    cost: Tensor | None = None,
    path: Path | None = None,
    device: torch.device | None = None,
    progress: bool = False,
    tick: Ticker | None = None,
) -> FittedClasses:
    """Train the architecture that one sensitive class would have, with a score for each class.

    Args:
        architecture: without a choice of several.
        recipe: as in :func:`fit_classes`, and so are the others.
        points: with what is before a fixed front.
        hidden: widths of every score's hidden layers; None: those of the architecture's own network.
        seed: likewise.
        cost: likewise.
        path: of the checkpoint that a killed training goes on from; None: none.
        device: likewise.
        progress: likewise.
        tick: likewise.

    Returns:
        As :func:`fit_classes`, the model with a fixed front before it.
    """
    if architecture.front is not None:
        # What is after a front is no image.
        points, recipe = (
            architecture.after_front(points),
            recipe.replace(augmentation=Augmentation()),
        )
    start = untrained(architecture, points, seed)
    fitted = fit_classes(
        start.feature_map,
        _widths(start) if hidden is None else hidden,
        recipe,
        points,
        seed=seed,
        cost=cost,
        checkpoint=Checkpoint(path, fingerprint(recipe, seed, points)),
        device=device,
        progress=progress,
        tick=tick,
    )
    if architecture.front is None:
        return fitted
    whole = architecture.whole(fitted.model.feature_map)
    return replace(fitted, model=fitted.model.with_map(whole))


def _widths(model: FeatureConvexModel) -> tuple[int, ...]:
    """Of the network's hidden layers.

    Raises:
        UserError: an architecture whose networks are trained for one sensitive class only.
    """
    net = model.convex_net
    if not isinstance(net, ConvexMLP):
        raise UserError(
            f"several classes are trained with a ConvexMLP each, got {type(net).__name__}"
        )
    return tuple(net.config()["hidden"])


@undisturbed()
@torch.enable_grad()
def fit_classes(
    feature_map: FeatureMap,
    hidden: Sequence[int],
    recipe: Recipe,
    points: Points,
    *,
    sensitive: Sequence[int] | None = None,
    seed: int = 0,
    cost: Tensor | None = None,
    checkpoint: Checkpoint | None = None,
    device: torch.device | None = None,
    progress: bool = False,
    tick: Ticker | None = None,
) -> FittedClasses:
    """Train one convex score for each class after a feature map, for the radii of the recipe's norm.

    Args:
        feature_map: untrained, fit for the points; trained in place.
        hidden: widths of every score's hidden layers; none: affine scores, as of a 1-Lipschitz network.
        recipe: how; its temperature, in units of the radius, is a share of the distance between classes
            where none is given.
        points: labelled 0 to classes - 1; ``recipe.validation_fraction`` of each class is held out.
        sensitive: the classes whose radii count; the others' points have the recipe's smaller temperature.
            None: all.
        seed: of initial weights, split, order and augmentation.
        cost: per coordinate, as in :class:`featureconvex.Lp`: the units radii are trained in.
        checkpoint: where a killed training goes on from.
        device: where to train.
        progress: show a bar on standard error.
        tick: in place of that bar, called with the epochs done since the last call, and words.

    Raises:
        UserError: a class without points, an input that is not finite, or training diverged.
    """
    classes = int(points.y.max()) + 1
    counts = torch.bincount(points.y, minlength=classes)
    if int(counts.min()) < 2:
        raise UserError(
            f"class number {int(counts.argmin())} has {int(counts.min())} training points; 2 are needed"
        )
    if not all(bool(torch.isfinite(batch).all()) for batch in points.batches(4096)):
        raise UserError("the training inputs have a NaN or an infinity; remove or impute them")
    if recipe.temperature is None:
        recipe = recipe.replace(temperature=SHARE * nearest_class(points, recipe.norm, cost))
    fitting, held_out, _ = split_points(points, recipe.validation_fraction, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        size = math.prod(feature_map.output_shape(points.row_shape))
        nets = [ConvexMLP(size, hidden) for _ in range(classes)]
        model = MultiClassModel(feature_map, nets).to(device or torch.device("cpu"))
    wanted = torch.zeros(classes, dtype=torch.bool)
    wanted[list(range(classes) if sensitive is None else sensitive)] = True
    run = _Classes(model, recipe, fitting, held_out, wanted, seed, cost)
    if tick is not None:
        history = run.to_end(checkpoint, _by_epochs(tick, run.steps_per_epoch))
    else:
        with progress_bar("training", run.steps_per_epoch * recipe.epochs, progress) as steps:
            history = run.to_end(checkpoint, steps)
    return FittedClasses(model.eval(), recipe, history, len(fitting))


def _by_epochs(tick: Ticker, steps: int) -> Ticker:
    """A ticker of steps that tells ``tick`` whole epochs of so many of them."""
    done = 0

    def stepped(advance: int, words: str) -> None:
        nonlocal done
        before, done = done // steps, done + advance
        tick(done // steps - before, words)

    return stepped


def nearest_class(points: Points, p: float, cost: Tensor | None = None) -> float:
    """The median distance from a point to the nearest one of another class; 1 where all coincide.

    On the first :data:`SAMPLE` points of each class.
    """
    rows = [
        (points.y == label).nonzero().squeeze(1)[:SAMPLE]
        for label in range(int(points.y.max()) + 1)
    ]
    index = torch.cat(rows)
    x, y = points.take(index).flatten(1), points.y[index]
    if cost is not None:
        x = x * cost.to(x.dtype).expand(points.row_shape).flatten()
    nearest = torch.cdist(x, x, p=p).masked_fill(y[:, None] == y, torch.inf).amin(1)
    apart = nearest[nearest > 0]
    return float(apart.median()) if len(apart) else 1.0


class _Classes(Run):
    """The logistic loss of a point's radii against all other classes, in units of its temperature."""

    def __init__(
        self,
        model: MultiClassModel,
        recipe: Recipe,
        points: Points,
        validation: Points,
        sensitive: Tensor,
        seed: int,
        cost: Tensor | None,
    ) -> None:
        phi, nets = model.feature_map, [part.convex_net for part in model.members()]
        weights = [*phi.parameters(), *(w for net in nets for w in net.parameters())]
        super().__init__(model, phi, weights, recipe, points, seed)
        self.nets: list[nn.Module] = nets
        self.validation, self.cost = validation, cost
        own, other = recipe.temperatures
        self.temperature = torch.where(sensitive, own, other).to(self.device, self.dtype)

    def objective(self, x: Tensor, rows: Tensor) -> tuple[Tensor, int]:
        """The loss, and how many points have their own class's score as the largest."""
        y = self.points.y[rows].to(self.device)
        radius = self.radii(x, y)
        weight = self.points.weight
        loss = self._loss(radius, y)
        if weight is not None:
            loss = loss * weight[rows].to(loss)
        return loss.mean(), int((radius.detach().amin(1) > 0).sum())

    def _loss(self, radius: Tensor, y: Tensor) -> Tensor:
        """(n,): ``log(1 + sum_j exp(-r_j / T))``."""
        scaled = -radius / self.temperature[y][:, None]
        return torch.logsumexp(torch.cat((torch.zeros_like(scaled[:, :1]), scaled), dim=1), dim=1)

    def radii(self, x: Tensor, y: Tensor) -> Tensor:
        """(n, classes): the closed-form radius against each class, negative behind it, inf for its own.

        By the constants that the map has by construction, while training.
        """
        phi = self.feature_map
        u = phi(x)
        u = u if u.requires_grad else u.detach().requires_grad_()
        scores = torch.stack([net(u) for net in self.nets], dim=1)
        own = scores.gather(1, y[:, None]).squeeze(1)
        (v,) = torch.autograd.grad(
            own.sum(), u, create_graph=torch.is_grad_enabled() and phi.training
        )
        v = v.flatten(1)
        slopes = [score_slopes(net) for net in self.nets]
        steep = [(v - centre).abs() + around for centre, around in slopes]
        flat = torch.stack(steep, dim=1).view(-1, *u.shape[1:])
        rate = phi.sensitivity(flat, self.recipe.norm, self.cost).to(scores.dtype)
        radius = (own[:, None] - scores) / (rate.view(scores.shape) + SMALLEST_SLOPE)
        return radius.scatter(1, y[:, None], torch.inf)

    def judge(self) -> tuple[float, dict[str, float]]:
        """The training loss on points that are not trained on."""
        self.model.eval()
        losses, radii = [], []
        for index in torch.split(torch.arange(len(self.validation)), 1024):
            x = self.validation.take(index).to(self.device, self.dtype)
            y = self.validation.y[index].to(self.device)
            radius = self.radii(x, y).detach()
            losses.append(self._loss(radius, y))
            radii.append(radius.amin(1))
        radius = torch.cat(radii)
        right = radius > 0
        middle = float(radius[right].median()) if bool(right.any()) else math.nan
        return float(torch.cat(losses).mean()), {
            "validation_accuracy": float(right.double().mean()),
            "validation_median_radius": middle,
        }


def score_slopes(net: nn.Module) -> tuple[Tensor, Tensor]:
    """The middle and the half width of the slopes of a :class:`ConvexMLP`, (in_features,) each.

    As :func:`featureconvex.certificates.multi_class.slopes.slope_range` has them everywhere, but
    differentiable in the weights: between two inputs every unit's slope is between 0 and 1, and weights
    between units are >= 0.

    Raises:
        UserError: another network, or one with batch norm.
    """
    if type(net) is not ConvexMLP or len(net.norms):
        raise UserError(
            f"several classes are trained with ConvexMLP without batch norm, got {net!r:.80}"
        )
    inputs: list[Tensor] = [layer.weight for layer in net.input_layers]  # type: ignore[misc]
    hidden: list[Tensor] = [layer.weight for layer in net.hidden_layers]  # type: ignore[misc]
    if not hidden:
        return inputs[0][0], torch.zeros_like(inputs[0][0])
    skips = len(inputs) > 1
    centre = inputs[-1][0] if skips else torch.zeros_like(inputs[0][0])
    around = torch.zeros_like(centre)
    most = torch.ones_like(hidden[-1][:, 0])
    for at, weight in reversed(list(enumerate(hidden))):
        # At most how much the output rises with each unit of this layer; at least 0.
        most = most @ weight
        if skips or at == 0:
            half = most / 2
            centre = centre + half @ inputs[at]
            around = around + half @ inputs[at].abs()
    return centre, around
