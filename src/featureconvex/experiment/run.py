"""The main job: train, calibrate, certify, evaluate, report."""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from featureconvex.data import Dataset, Task
from featureconvex.detector import Detector
from featureconvex.device import device
from featureconvex.experiment.output import CHECKPOINTS, output_folder, reported
from featureconvex.experiment.prepared import prepare
from featureconvex.experiment.record import record_of
from featureconvex.experiment.review import review
from featureconvex.experiment.rows import certified_rows
from featureconvex.experiment.settings import Settings
from featureconvex.experiment.source import spread, stored_inputs, with_source
from featureconvex.models.file import save_model
from featureconvex.models.model import FeatureConvexModel
from featureconvex.norms import norm_name
from featureconvex.progress import remark
from featureconvex.results.columns import RAW, STD, RadiusColumn
from featureconvex.results.examples import Examples, choose_examples, write_examples
from featureconvex.results.record import RECORD_FILE, write_record
from featureconvex.results.review import write_review
from featureconvex.results.rows import ROWS_FILE, write_rows
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
    folder = output_folder(out, task.name, settings.values())
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
        folder=folder / CHECKPOINTS,
        progress=progress,
    )
    certified = certified_rows(fitted.model, prepared.test, prepared.cost, progress)
    rows = with_source(certified.frame, dataset)
    headline = RadiusColumn(norm_name(settings.norm), unit=RAW if prepared.cost is None else STD)
    chosen = choose_examples(rows, headline.name)
    names = {
        "sensitive_name": dataset.sensitive_name,
        "other_name": dataset.other_name,
        **stored_inputs(dataset, prepared),
    }
    save_model(fitted.model, folder / "model", names)
    write_rows(rows, folder / ROWS_FILE)
    write_examples(_examples(fitted.model, dataset, prepared.test, chosen), folder / "examples.npz")
    record = record_of(dataset, settings, fitted, certified.seconds, started)
    record["levels_unavailable"] = certified.unavailable
    if prepared.cost is not None:
        record["feature_std"] = spread(prepared.train.x, prepared.cost)
    if progress:
        for sentence in run_warnings(rows, record):
            remark(f"warning: {sentence}")
    write_record(record, folder / RECORD_FILE)
    # From here on `featureconvex report` can do without what follows.
    detector = Detector.of(fitted.model, names)
    reviewed = review(detector, dataset, prepared.test.x, settings.seed, progress)
    if reviewed is not None:
        write_review(reviewed, folder, dataset.test_kept)
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
    # matplotlib is not for those who certify.
    from featureconvex.report.report import write_report

    return reported(folder, write_report)


def _examples(model: FeatureConvexModel, dataset: Dataset, test: Points, chosen: Any) -> Examples:
    """The chosen inputs with the margin's gradient in ``x``: for looking at, not for certifying."""
    x = test.x[torch.tensor(chosen)].to(model.device, model.dtype).requires_grad_()
    gradient = torch.zeros_like(x)
    if len(x):
        (gradient,) = torch.autograd.grad(model(x).sum(), x)
    return Examples(chosen, dataset.test.x[chosen], gradient.cpu().numpy())
