"""The trained part of the campaign: recipes on bundled data, and on real data where it is at hand."""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

import featureconvex as fc
from featureconvex.certificates import Threat
from featureconvex.data import find_task
from featureconvex.experiment.prepared import prepare
from featureconvex.experiment.settings import Settings
from featureconvex.features import (
    AbsConcat,
    Compose,
    Distances,
    NonexpansiveLinear,
    Scattering,
)
from featureconvex.files import writable_folder
from featureconvex.models.file import load_model, save_model
from featureconvex.norms import NORMS
from featureconvex.testing.law import seeded
from featureconvex.testing.soundness.attack_points import foolbox_knows
from featureconvex.testing.soundness.cases.case import Case, Setting
from featureconvex.testing.soundness.cases.random import hash_of
from featureconvex.training.fit import fit
from featureconvex.training.points import Points

# What a composition is called after: the first of these in it.
NAMED_MAPS = (
    (Scattering, "scattering"),
    (AbsConcat, "abs"),
    (Distances, "distances"),
    (NonexpansiveLinear, "orthogonal"),
)


@dataclass(frozen=True)
class Training:
    """One short training run.

    Attributes:
        task: of :mod:`featureconvex.data`.
        recipe: ``default``, ``fixed`` or ``paper``.
        norm: trained for.
        epochs: of training.
        temperature: of the radius loss of recipe ``default`` on images, in units of the radius.
        points: of the training data to use.
        settings: threats of one case.
        rows: points of one case at most; None: as many as the campaign asks for.
    """

    task: str
    recipe: str = "fixed"
    norm: float = 2.0
    epochs: int = 6
    temperature: float | None = None
    points: int = 4000
    settings: int = 10
    rows: int | None = None

    @property
    def bundled(self) -> bool:
        """Whether an installed package ships the data."""
        return self in BUNDLED

    @property
    def name(self) -> str:
        """For files and tables: ``mnist-3-8, paper, l2``."""
        norm = "inf" if math.isinf(self.norm) else f"{self.norm:g}"
        return f"{self.task}, {self.recipe}, l{norm}"


BUNDLED = (
    Training("digits-3-8", norm=2, temperature=0.3, epochs=20),
    Training("digits-3-8", "paper", epochs=20),
    Training("mnist-mini-3-8", norm=math.inf, temperature=0.04),
    # A forward pass of distances to a thousand neurons is slow, and its exact judge slower.
    Training("mnist-mini-3-8", "default", norm=math.inf, temperature=0.1, settings=5, rows=8),
    Training("breast-cancer", norm=2, epochs=20, settings=12),
    Training("breast-cancer", "default", norm=2, epochs=20, settings=12),
    Training("mnist-mini-3-8", "paper"),
)
REAL = (
    Training("mnist-3-8", norm=1, temperature=4.0),
    Training("mnist-3-8", "default", norm=2, temperature=2.0, settings=5, rows=16),
    Training("fashion-shirts", "paper", epochs=3, settings=5),
    # One attack by windows on 64 colour images after scattering takes a quarter of an hour.
    Training("cifar10-cats-dogs", temperature=1.0, epochs=5, points=1500, settings=4, rows=8),
)


def trainings(data_dir: Path | None = None) -> list[Training]:
    """The bundled ones, and those whose data is found."""
    found = [item for item in REAL if find_task(item.task).locate(data_dir).found]
    return [*BUNDLED, *found]


@dataclass(frozen=True)
class Trained:
    """A trained model and points it has not seen."""

    training: Training
    model: fc.FeatureConvexModel
    x: Tensor


def trained(training: Training, seed: int, folder: Path, data_dir: Path | None = None) -> Trained:
    """Train, or load what an earlier call has trained."""
    dataset = find_task(training.task).load(data_dir, download=False)
    settings = Settings(
        norm=training.norm,
        recipe=training.recipe,
        temperature=training.temperature,
        epochs=training.epochs,
        seed=seed,
    )
    recipe = settings.resolve(dataset.name, dataset.train.x.shape)
    ready = prepare(dataset, recipe, torch.device("cpu"))
    path = writable_folder(folder) / f"{training.name.replace(', ', '_')}_{seed}"
    if path.exists():
        model, _ = load_model(path)
    else:
        part = Points(ready.train.x[: training.points], ready.train.y[: training.points])
        model = fit(
            ready.architecture, recipe, part, seed=seed, cost=ready.cost, test=ready.test
        ).model
        save_model(model, path)
    model.eval()
    x = ready.test.x.to(model.dtype)
    with torch.no_grad():
        sensitive = torch.cat([model(rows) > 0 for rows in torch.split(x, 500)])
    return Trained(training, model, x[sensitive])


def trained_case(item: Trained, turn: int, seed: int, points: int) -> Case:
    """Some points and threats: successive turns take other ones."""
    with seeded(hash_of(seed, turn)):
        chosen = torch.randperm(len(item.x))[: min(points, item.training.rows or points)]
        x = item.x[chosen]
        settings = _settings(item)
        order = torch.randperm(len(settings))[: item.training.settings].tolist()
        settings = [settings[k] for k in order]
    known = [k for k, setting in enumerate(settings) if foolbox_knows(*setting)]
    return Case(
        type(item.model.convex_net).__name__,
        _features(item.model),
        item.training.name,
        item.model,
        x,
        settings,
        None,
        known[:1],
        turn,
    )


def _features(model: fc.FeatureConvexModel) -> str:
    phi = model.feature_map
    parts = phi.parts() if isinstance(phi, Compose) else [phi]
    for kind, name in NAMED_MAPS:
        if any(isinstance(part, kind) for part in parts):
            return name
    return type(parts[0]).__name__.lower()


def _settings(item: Trained) -> list[Setting]:
    """Images: pixels in [0, 1], windows, pixels. Tables: everywhere, and the range of the points."""
    shape, image = item.x.shape[1:], item.x.ndim == 4
    spread = item.x.double().std(0).clamp_min(1e-3)
    low, high = (0.0, 1.0) if image else (item.x.double().amin(0), item.x.double().amax(0))
    box = fc.Box(low, high)
    upwards = fc.Box(low, high, direction=torch.ones(shape, dtype=torch.int64))
    some = fc.Box(low, high, immutable=torch.rand(shape) < 0.5)
    threats: list[Threat] = [fc.Lp(p) for p in NORMS]
    costs: list[Threat] = [fc.Lp(p, 1 / spread) for p in NORMS]
    counts: list[Threat] = [fc.L0(), fc.Patch(3), *([fc.L0("pixels")] * image)]
    settings: list[Setting] = [(threat, fc.Unbounded()) for threat in (*threats, fc.Lp(4), *costs)]
    settings += [(threat, box) for threat in (*threats, *threats, *costs, *counts)]
    settings += [(threat, domain) for domain in (upwards, some) for threat in (*threats, fc.L0())]
    return settings
