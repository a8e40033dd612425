"""The main job: train, calibrate, certify, evaluate, report."""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from featureconvex.data import Dataset, Task
from featureconvex.data.meaning import Meaning
from featureconvex.detector import Detector
from featureconvex.device import device
from featureconvex.errors import UserError
from featureconvex.experiment.kept import beside
from featureconvex.experiment.prepared import prepare
from featureconvex.experiment.record import record_of
from featureconvex.experiment.review import review
from featureconvex.experiment.rows import certified_rows
from featureconvex.experiment.settings import Settings
from featureconvex.files import writable_folder
from featureconvex.models.file import save_model
from featureconvex.models.model import FeatureConvexModel
from featureconvex.norms import norm_name
from featureconvex.progress import remark
from featureconvex.report.folders import refuse_results_of
from featureconvex.results.columns import RAW, STD, RadiusColumn
from featureconvex.results.examples import Examples, choose_examples, write_examples
from featureconvex.results.record import (
    RECORD_FILE,
    read_record,
    write_record,
)
from featureconvex.results.review import write_review
from featureconvex.results.rows import write_rows
from featureconvex.results.warnings import run_warnings
from featureconvex.training.fit import fit
from featureconvex.training.points import Points


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
    record = record_of(dataset, settings, fitted, certified.seconds, started)
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
