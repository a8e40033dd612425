"""``featureconvex separability``: a task's verdicts, proofs, distances, figure."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featureconvex.data import Dataset, Split, Task, to_tensor
from featureconvex.errors import UserError
from featureconvex.files import replacing, writable_folder, write_bytes, write_text
from featureconvex.norms import NORMS, norm_name
from featureconvex.progress import progress_bar
from featureconvex.provenance import provenance
from featureconvex.report.folders import (
    FIGURES_FOLDER,
    SEPARABILITY_FILE,
    refuse_another_task,
    refuse_other_results,
)
from featureconvex.report.plot_style import png_bytes
from featureconvex.results.strict_json import dump_json
from featureconvex.theory.separability.distances import Distances
from featureconvex.theory.separability.features import mapped, parse_map
from featureconvex.theory.separability.figure import separability_figure
from featureconvex.theory.separability.lattice import Lattice
from featureconvex.theory.separability.linear import linear_separation
from featureconvex.theory.separability.proofs import Hyperplanes, combinations
from featureconvex.theory.separability.record import direction_rows, summary
from featureconvex.theory.separability.verdicts import Verdicts, separate

ROWS_FILE, PROOFS_FILE = "rows.parquet", "combinations.json"


@dataclass(frozen=True)
class Settings:
    """What a user may choose.

    Attributes:
        split: whose points are asked about, ``train`` or ``test``.
        features: ``identity``, ``abs-concat``, ``scattering`` or the path of a saved model.
        distance: refine the bounds of the distances, for this exponent first; None: quick bounds.
        proofs: write the hyperplanes, too.
    """

    split: str = "train"
    features: str = "identity"
    distance: float | None = None
    proofs: bool = False

    def __post_init__(self) -> None:
        if self.split not in ("train", "test"):
            raise UserError(f"--split is train or test, got {self.split!r}")
        if self.distance not in (None, *NORMS):
            raise UserError(f"--distance is 1, 2 or inf, got {self.distance:g}")


def separability(
    task: Task,
    out: Path,
    settings: Settings,
    data_dir: Path | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """Ask of every point of each class whether it is in the convex hull of the other, and write it down.

    Args:
        task: the data.
        out: the folder for all that is written.
        settings: what is asked.
        data_dir: where the data sets are.
        progress: show bars on standard error.

    Returns:
        The content of ``separability.json``.

    Raises:
        UserError: a bad setting, missing data, NaN in it, or a folder that holds other results.
    """
    started = datetime.now(UTC)
    folder = writable_folder(out)
    refuse_other_results(folder, own="separability")
    refuse_another_task(folder / SEPARABILITY_FILE, task.name)
    dataset = task.load(data_dir)
    half: Split = getattr(dataset, settings.split)
    begun, worked = time.perf_counter(), time.process_time()
    phi = parse_map(settings.features, to_tensor(dataset.train.x))
    lattice = Lattice.of(mapped(phi, half.x))
    numbers = {label: np.flatnonzero(half.y == label) for label in (1, 0)}
    classes = {label: lattice.take(rows) for label, rows in numbers.items()}
    del lattice
    names = {1: dataset.sensitive_name, 0: dataset.other_name}
    directions, frames, exact = {}, [], {}
    for label, name in ((1, "forward"), (0, "reverse")):
        title = f"{names[label]} against {names[1 - label]}" if progress else ""
        planes = folder / f"hyperplanes-{name}.npy"
        directions[name], rows, exact[name] = _direction(
            classes, numbers, label, settings, planes, title
        )
        frames.append(rows)
    with progress_bar("one hyperplane for all", None, progress):
        linear = linear_separation(classes[1], classes[0])
    rows = _with_source(
        pd.concat(frames).sort_values("index", ignore_index=True), dataset, settings
    )
    forward, reverse = directions["forward"], directions["reverse"]
    any_inside = bool(forward["inside"] + reverse["inside"])
    result = {
        "task": dataset.name,
        "split": settings.split,
        "features": settings.features,
        "sensitive_name": dataset.sensitive_name,
        "other_name": dataset.other_name,
        "dimension": classes[1].dimension,
        "separable": forward["separable"],
        "separable_reverse": reverse["separable"],
        "points": len(rows),
        "proved": int((rows.proof != "").sum()),
        "seconds": time.perf_counter() - begun,
        "processor_seconds": time.process_time() - worked,
        "linearly_separable": False if any_inside else linear.separable,
        "linear_accuracy": linear.accuracy,
        "distance_refined": settings.distance is not None,
        "concerns": _concerns(half.x, settings.features),
        "forward": forward,
        "reverse": reverse,
        "note": dataset.note,
        "source": dataset.source,
        "provenance": provenance(started),
    }
    _write(folder, result, rows, exact, half, dataset, settings)
    return result


def _direction(
    classes: dict[int, Lattice],
    numbers: dict[int, NDArray[np.intp]],
    label: int,
    settings: Settings,
    path: Path,
    title: str,
) -> tuple[dict[str, Any], pd.DataFrame, dict[str, Any]]:
    """One class against the hull of the other: a summary, a row for each point, and what proves them.

    Args:
        classes: the points of each.
        numbers: their numbers in the data.
        label: the class that is asked about.
        settings: what is asked.
        path: for the hyperplanes, where they are asked for.
        title: of bars; empty: none.
    """
    planes = Hyperplanes(path, classes[label]) if settings.proofs else None
    verdicts, bounds, seconds = _verdicts(
        classes[label], classes[1 - label], settings.distance, planes, title
    )
    rows = direction_rows(verdicts, bounds, numbers[label], numbers[1 - label], label)
    exact = combinations(verdicts, numbers[label], numbers[1 - label])
    if planes is not None:
        exact["hyperplanes"] = planes.close()
    found = {**summary(rows), "seconds": seconds, "separable": verdicts.separable}
    return found, rows, exact


def _verdicts(
    points: Lattice,
    others: Lattice,
    distance: float | None,
    planes: Hyperplanes | None,
    title: str,
) -> tuple[Verdicts, Distances, float]:
    """Verdicts, bounds of distances, and seconds; an empty ``title`` shows no bars."""
    begun = time.perf_counter()
    bounds = Distances(points, others)

    def watch(rows: NDArray[np.intp], directions: NDArray[Any], by: NDArray[Any]) -> None:
        bounds.see(rows, directions, by)
        if planes is not None:
            planes.see(rows, directions)

    with progress_bar(f"verdicts: {title}", len(points), bool(title)) as tick:
        verdicts = separate(points, others, watch, tick)
    outside = np.flatnonzero(verdicts.inside != 1)
    refined = len(outside) if distance is not None else None
    with progress_bar(f"distances: {title}", refined, bool(title)) as tick:
        bounds.inside(np.flatnonzero(verdicts.inside == 1))
        bounds.neighbours()
        if distance is not None:
            bounds.refine(outside, tick=tick)
    return verdicts, bounds, time.perf_counter() - begun


def _with_source(rows: pd.DataFrame, dataset: Dataset, settings: Settings) -> pd.DataFrame:
    source = dataset.train_rows if settings.split == "train" else dataset.test_rows
    if source is not None:
        rows.insert(1, "row", source[rows["index"].to_numpy()])
    return rows


def _concerns(x: NDArray[Any], features: str) -> str:
    if features != "identity":
        return "the features as stored in float64"
    return (
        "the stored pixels"
        if x.dtype == np.uint8
        else f"the {'numbers of the table' if x.ndim == 2 else 'pixels'} as stored in float64"
    )


def _write(
    folder: Path,
    result: dict[str, Any],
    rows: pd.DataFrame,
    exact: dict[str, Any],
    half: Split,
    dataset: Dataset,
    settings: Settings,
) -> None:
    names = (dataset.sensitive_name, dataset.other_name)
    images = half.x if dataset.kind == "image" else None
    unit = "features" if settings.features != "identity" else "table's units"
    if images is not None and settings.features == "identity":
        unit = "pixel values 0 to 1"
    norm = norm_name(settings.distance or 2.0)
    figure = separability_figure(rows, norm, names, images, unit)
    write_bytes(folder / FIGURES_FOLDER / "separability.png", png_bytes(figure))
    with replacing(folder / ROWS_FILE) as scratch:
        rows.to_parquet(scratch, index=False)
    write_text(folder / PROOFS_FILE, dump_json(exact))
    write_text(folder / SEPARABILITY_FILE, dump_json(result))
