"""The main job for several classes: train, certify, evaluate, report."""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from featureconvex.data import ClassDataset, ClassTask
from featureconvex.device import device
from featureconvex.experiment.multi_class.fit import FittedRun, fit_run
from featureconvex.experiment.multi_class.rows import certified_class_rows
from featureconvex.experiment.multi_class.settings import ClassSettings
from featureconvex.experiment.output import CHECKPOINTS, output_folder, reported
from featureconvex.experiment.prepared import prepare
from featureconvex.experiment.record import describe, shared_record
from featureconvex.experiment.rows import CertifiedRows
from featureconvex.experiment.source import spread, stored_inputs, with_source
from featureconvex.models.file import save_model
from featureconvex.progress import remark
from featureconvex.results.multi_class.record import OWN, ClassRecord, write_class_record
from featureconvex.results.multi_class.rows import write_class_rows
from featureconvex.results.multi_class.warnings import class_warnings
from featureconvex.results.record import RECORD_FILE
from featureconvex.results.rows import ROWS_FILE


def run_classes(
    task: ClassTask,
    out: Path,
    settings: ClassSettings,
    data_dir: Path | None = None,
    progress: bool = True,
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
    place = device(settings.device)
    folder = output_folder(out, task.name, settings.values())
    dataset = task.load(data_dir)
    if progress and dataset.note:
        remark(f"{dataset.name}: {dataset.note}")
    dataset.check_counts()
    recipe = settings.resolve(dataset.name, dataset.train.x.shape)
    prepared = prepare(dataset, recipe, place, priced=settings.priced)
    done = fit_run(prepared, settings, folder / CHECKPOINTS, place, progress)
    certified = certified_class_rows(
        done.model, prepared.test, dataset.classes, prepared.cost, progress
    )
    rows = with_source(certified.frame, dataset)
    names = {"classes": list(dataset.classes), **stored_inputs(dataset, prepared)}
    save_model(done.model, folder / "model", names)
    write_class_rows(rows, dataset.classes, folder / ROWS_FILE)
    record = _record(dataset, settings, done, certified, started)
    if prepared.cost is not None:
        record["feature_std"] = spread(prepared.train.x, prepared.cost)
    for sentence in class_warnings(rows, record) if progress else ():
        remark(f"warning: {sentence}")
    write_class_record(record, folder / RECORD_FILE)
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
    # matplotlib is not for those who certify.
    from featureconvex.report.multi_class.report import write_class_report

    return reported(folder, write_class_report)


def _record(
    dataset: ClassDataset,
    settings: ClassSettings,
    done: FittedRun,
    certified: CertifiedRows,
    started: datetime,
) -> ClassRecord:
    nets = [part.convex_net for part in done.model.members()]
    own = {
        **shared_record(dataset, settings, done.fitted.recipe, started),
        "multi_class": OWN,
        "classes": list(dataset.classes),
        "n_train": done.fitted.n_train,
        "train_accuracy": done.train_accuracy,
        "tau": done.model.tau.tolist(),
        "history": done.fitted.history,
        "seconds": {"train": done.seconds, **certified.seconds},
        "model": describe(done.model.feature_map, nets),
        "levels_unavailable": certified.unavailable,
    }
    return cast("ClassRecord", own)
