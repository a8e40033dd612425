"""The main job: train, calibrate, certify, evaluate, report."""

import math
import shutil
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pandas as pd
import torch
from torch import Tensor

from featureconvex.data import Dataset, Task, to_tensor
from featureconvex.data.files.byte_plot import BytePlot
from featureconvex.data.meaning import Meaning
from featureconvex.data.suspicion import data_warnings
from featureconvex.detector import Detector
from featureconvex.device import device
from featureconvex.errors import UserError
from featureconvex.experiment.kept import beside
from featureconvex.experiment.review import review
from featureconvex.experiment.rows import certified_rows
from featureconvex.features import Compose, standardise
from featureconvex.files import writable_folder
from featureconvex.given import one_of
from featureconvex.models.file import save_model
from featureconvex.models.model import FeatureConvexModel
from featureconvex.norms import norm_name
from featureconvex.progress import remark
from featureconvex.provenance import provenance
from featureconvex.report.folders import refuse_results_of
from featureconvex.results.columns import RAW, STD, RadiusColumn
from featureconvex.results.examples import Examples, choose_examples, write_examples
from featureconvex.results.record import (
    RECORD_FILE,
    CalibrationRecord,
    Epoch,
    ModelRecord,
    PilotRecord,
    Record,
    Seconds,
    read_record,
    write_record,
)
from featureconvex.results.review import write_review
from featureconvex.results.rows import write_rows
from featureconvex.results.warnings import run_warnings
from featureconvex.training.architectures import (
    Architecture,
    count_architecture,
    image_architecture,
    table_architecture,
    table_map,
)
from featureconvex.training.fit import Fitted, calibration_record, fit
from featureconvex.training.points import Points
from featureconvex.training.recipes import RECIPES, Recipe, check_values


@dataclass(frozen=True)
class Settings:
    """What a user may choose for a run; None leaves the choice to the recipe.

    Attributes:
        norm: exponent of the norm to train for and report first; recipe paper trains the same model
            for every norm.
        recipe: ``"default"``, ``"fixed"`` or ``"paper"``.
        temperature: trades clean accuracy (small) against radius (large).
        other_temperature: of the other class, which only has to stay on its side.
        counts: ``"log1p"`` trains on logarithms of counts of bytes; None on the counts.
        priced: nobody named the norm, so of a table that attacker counts whose prices the report states.
        target_fpr: calibrate for this false-positive rate instead of balancing the classes.
        epochs: of training.
        seed: of everything random.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
    """

    norm: float = 2.0
    recipe: str = "default"
    temperature: float | None = None
    target_fpr: float | None = None
    epochs: int | None = None
    seed: int = 0
    device: str = "auto"
    other_temperature: float | None = None
    counts: str | None = None
    priced: bool = False

    def __post_init__(self) -> None:
        if self.norm not in (1, 2, math.inf):
            raise UserError(f"run trains and reports norm 1, 2 or inf, got {self.norm:g}")
        if self.target_fpr is not None and not 0 <= self.target_fpr <= 1:
            raise UserError(f"a false-positive rate is in [0, 1], got {self.target_fpr}")
        chosen = (self.temperature, self.other_temperature)
        if self.recipe == "paper" and any(value is not None for value in chosen):
            raise UserError("recipe paper has no temperature; use recipe default")
        if self.counts is not None:
            one_of("counts", self.counts, ("log1p",))
        if self.seed < 0:
            raise UserError(f"a seed must be >= 0, got {self.seed}")
        if self.recipe not in RECIPES:
            raise UserError(f"unknown recipe {self.recipe!r}; use one of {', '.join(RECIPES)}")
        check_values(**self._changes)

    def values(self) -> dict[str, Any]:
        """What decides the result but for rounding, as plain values for a record: no device."""
        values = {**asdict(self), "norm": norm_name(self.norm)}
        del values["device"]
        if not self.priced:
            del values["priced"]
        return values

    def resolve(self, task: str, shape: tuple[int, ...]) -> Recipe:
        """The recipe for a task and the shape of its training inputs, with the user's changes."""
        return RECIPES[self.recipe](task, shape, self.norm).replace(**self._changes)

    @property
    def _changes(self) -> dict[str, Any]:
        """What replaces values of the recipe."""
        names = ("temperature", "other_temperature", "epochs")
        chosen = {name: getattr(self, name) for name in names}
        return {name: value for name, value in chosen.items() if value is not None}


@dataclass(frozen=True)
class Prepared:
    """A task's data as a model takes it.

    Attributes:
        train, test: inputs and labels.
        architecture: what is trained.
        cost: (d,) one over the training standard deviations for tables, None for images.
        trained_cost: of the units that the model is trained in; ``cost`` but behind a front.
        recipe: what trains it.
    """

    train: Points
    test: Points
    architecture: Architecture
    cost: Tensor | None
    trained_cost: Tensor | None
    recipe: Recipe


def prepare(
    dataset: Dataset,
    recipe: Recipe,
    place: torch.device,
    counts: str | None = None,
    priced: bool = False,
) -> Prepared:
    """Tensors, an architecture and the recipe of a data set.

    Args:
        dataset: read.
        recipe: as asked for.
        place: the device.
        counts: see :class:`Settings`.
        priced: likewise.

    Raises:
        UserError: logarithms of what are no counts of bytes.
    """
    train, test = (
        Points(to_tensor(half.x), torch.from_numpy(half.y).long())
        for half in (dataset.train, dataset.test)
    )
    if counts is not None:
        if dataset.files != "other files" or isinstance(dataset.counts, BytePlot):
            raise UserError(
                f"--counts {counts} is for files whose bytes are counted, not for {dataset.name}"
            )
        architecture, inner = count_architecture(train.x, (200, 50), place)
        cost = standardise(train.x).scale.abs()
        return Prepared(train, test, architecture, cost, inner, recipe)
    if dataset.kind == "table":
        kept = _has_an_attacker_of_its_own(dataset) or (priced and dataset.files is None)
        learned = recipe.name == "default" and not kept
        name = table_map(recipe.norm) if learned else "identity"
        if kept and table_map(recipe.norm) != "identity":
            # One-sided training in l2 pays behind the learned map only (results/table_maps.json).
            recipe = recipe.replace(asymmetry=1.0)
        architecture, cost = table_architecture(train.x, (200, 50), place, name)
        return Prepared(train, test, architecture, cost, cost, recipe)
    return Prepared(
        train,
        test,
        image_architecture(tuple(train.x.shape[1:]), dataset.name, recipe.name, recipe.norm, place),
        None,
        None,
        recipe,
    )


def _has_an_attacker_of_its_own(dataset: Dataset) -> bool:
    """Whether a schema says what an attacker can do, columns change by edits, or counts by operations.

    Behind a learned map a certificate can make little of these; with one curve per column it can.
    """
    edited = any(column.kind in ("category", "boolean") for column in dataset.columns or ())
    return dataset.schema is not None or edited or dataset.files == "other files"


def run(
    task: Task, out: Path, settings: Settings, data_dir: Path | None = None, progress: bool = True
) -> list[Path]:
    """Do the whole job for ``task`` and write everything below ``out``.

    A run that was killed continues from its last epoch when called again with the same settings.

    Returns:
        The files of the report, ``report.html`` among them.

    Raises:
        UserError: a bad setting, missing data, or an output folder that holds the results or the
            unfinished training of another run.
    """
    started = datetime.now(UTC)
    # Whatever is wrong with the device or the folder fails here, before the data is even read.
    place = device(settings.device)
    folder = writable_folder(out)
    _refuse_another_run(folder, task.name, settings)
    dataset = task.load(data_dir)
    if progress and dataset.note:
        remark(f"{dataset.name}: {dataset.note}")
    recipe = settings.resolve(dataset.name, dataset.train.x.shape)
    prepared = prepare(dataset, recipe, place, settings.counts, settings.priced)
    fitted = fit(
        prepared.architecture,
        prepared.recipe,
        prepared.train,
        seed=settings.seed,
        cost=prepared.trained_cost,
        test=prepared.test,
        target_fpr=settings.target_fpr,
        folder=folder / "checkpoints",
        progress=progress,
    )
    certified = certified_rows(fitted.model, prepared.test, prepared.cost, progress)
    rows = _with_source(certified.frame, dataset)
    headline = RadiusColumn(norm_name(settings.norm), unit=RAW if prepared.cost is None else STD)
    chosen = choose_examples(rows, headline.name)
    names = {
        "task": dataset.name,
        "sensitive_name": dataset.sensitive_name,
        "other_name": dataset.other_name,
        "feature_names": dataset.feature_names,
        "input_shape": list(prepared.test.x.shape[1:]),
        "inputs": Meaning.of(dataset).stored(),
        "cost": None if prepared.cost is None else prepared.cost.tolist(),
        "schema": None if dataset.schema is None else dataset.schema.stored(),
        "range": None if dataset.kind == "image" else _range(prepared.train.x),
    }
    save_model(fitted.model, folder / "model", names)
    write_rows(rows, folder / "rows.parquet")
    write_examples(_examples(fitted.model, dataset, prepared.test, chosen), folder / "examples.npz")
    record = _record(dataset, settings, fitted, certified.seconds, started)
    record["levels_unavailable"] = certified.unavailable
    if prepared.cost is not None:
        record["feature_std"] = _spread(prepared.train.x, prepared.cost)
    if progress:
        for sentence in run_warnings(rows, record):
            remark(f"warning: {sentence}")
    write_record(record, folder / "record.json")
    # From here on `featureconvex report` can do without what follows.
    detector = Detector.of(fitted.model, names)
    reviewed = review(detector, dataset, prepared.test.x, settings.seed, progress)
    if reviewed is not None:
        write_review(reviewed, folder, dataset.test_kept)
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return _reported(folder)


def _reported(folder: Path) -> list[Path]:
    """The report of a run whose model, rows and record are written.

    Raises:
        UserError: a full disk or a file-size limit; what was computed is safe.
    """
    # matplotlib is not for those who certify.
    from featureconvex.report.report import write_report

    try:
        return write_report(folder)
    except OSError as error:
        raise UserError(
            f"the model and its rows are in {folder}, but not the report: {error}; free some space or "
            f"raise the limit, and `featureconvex report {folder}` writes it in seconds"
        ) from error


def _with_source(rows: pd.DataFrame, dataset: Dataset) -> pd.DataFrame:
    """The rows of the test split with the place each comes from, and the columns the user kept."""
    if dataset.test_rows is not None:
        rows.insert(1, "row", dataset.test_rows)
    return beside(rows, dataset.test_kept, dataset.source)


def _range(x: Tensor) -> dict[str, list[float]]:
    """The least and the largest value of every column."""
    return {"lo": x.amin(dim=0).tolist(), "hi": x.amax(dim=0).tolist()}


def _spread(x: Tensor, cost: Tensor) -> list[float]:
    """Standard deviations, ``1 / cost``; 0 for a constant column, whose cost is only a stand-in."""
    constant = x.amin(dim=0) == x.amax(dim=0)
    return (1 / cost).masked_fill(constant.to(cost.device), 0.0).tolist()


def _refuse_another_run(folder: Path, task: str, settings: Settings) -> None:
    """Another task or other settings would silently replace the first run's model and report."""
    refuse_results_of("compare", folder)
    if not (folder / RECORD_FILE).exists():
        return
    before = read_record(folder / RECORD_FILE)
    if before["task"] != task:
        raise UserError(
            f"{folder} holds the results of {before['task']}; choose another --out or delete it"
        )
    asked = settings.values()
    stored = before.get("asked", asked)
    changed = [
        f"{name} {stored.get(name)} there, {asked[name]} now"
        for name in asked
        if stored.get(name) != asked[name]
    ]
    if changed:
        raise UserError(
            f"{folder} holds the results of other settings ({'; '.join(changed)}); choose another "
            "--out or delete it"
        )


def _examples(model: FeatureConvexModel, dataset: Dataset, test: Points, chosen: Any) -> Examples:
    """The chosen inputs with the margin's gradient in ``x``: for looking at, not for certifying."""
    x = test.x[torch.tensor(chosen)].to(model.device, model.dtype).requires_grad_()
    gradient = torch.zeros_like(x)
    if len(x):
        (gradient,) = torch.autograd.grad(model(x).sum(), x)
    return Examples(chosen, dataset.test.x[chosen], gradient.cpu().numpy())


def _record(
    dataset: Dataset,
    settings: Settings,
    fitted: Fitted,
    certify_seconds: dict[str, float],
    started: datetime,
) -> Record:
    recipe = fitted.recipe
    record: Record = {
        "task": dataset.name,
        "recipe": recipe.name,
        "norm": norm_name(recipe.norm),
        "seed": settings.seed,
        "asked": settings.values(),
        "n_train": fitted.n_train,
        "train_accuracy": fitted.train_accuracy,
        "kind": dataset.kind,
        "sensitive_name": dataset.sensitive_name,
        "other_name": dataset.other_name,
        "image_shape": list(dataset.test.x.shape[1:]) if dataset.kind == "image" else None,
        "feature_names": dataset.feature_names,
        "source": dataset.source,
        "note": dataset.note,
        "rows_from": dataset.rows_from,
        "data_warnings": data_warnings(dataset),
        "feature_map": fitted.feature_map,
        "temperature": recipe.temperature,
        "epochs": recipe.epochs,
        "tau": fitted.calibration.tau,
        "calibration": cast("CalibrationRecord", calibration_record(fitted)),
        "history": cast("list[Epoch]", fitted.history),
        "seconds": cast("Seconds", {"train": fitted.seconds, **certify_seconds}),
        "model": describe(fitted.model),
        "settings": recipe.values(),
        "provenance": provenance(started),
    }
    if fitted.pilots:
        record["tradeoff"] = [cast("PilotRecord", asdict(pilot)) for pilot in fitted.pilots]
    return record


def describe(model: FeatureConvexModel) -> ModelRecord:
    """The architecture in words, and its number of parameters."""
    net, phi = model.convex_net, model.feature_map
    config: dict[str, Any] = net.config() if callable(getattr(net, "config", None)) else {}  # type: ignore[operator]
    words = ", ".join(f"{name}={value}" for name, value in config.items())
    parts = phi.parts() if isinstance(phi, Compose) else [phi]
    path = [*(type(part).__name__ for part in parts), f"{type(net).__name__}({words})"]
    return {
        "description": " > ".join(path),
        "parameters": sum(p.numel() for p in net.parameters()),
    }
