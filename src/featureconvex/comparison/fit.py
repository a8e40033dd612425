"""One method at one setting: fit, save, certify the test points step by step; resumable."""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict, cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from featureconvex.baselines.answers import checked_facts, flags_of, radii_of
from featureconvex.baselines.method import CertifiedMethod, Method, Setting
from featureconvex.baselines.multi_class.method import ClassMethod, classes_of
from featureconvex.comparison.columns import radius_column, seconds_column
from featureconvex.comparison.data import ComparisonData, counted
from featureconvex.comparison.schema import FitRecord
from featureconvex.errors import UserError
from featureconvex.files import replacing, write_text
from featureconvex.progress import Ticker, progress_bar
from featureconvex.provenance import Provenance, provenance
from featureconvex.results.strict_json import dump_json, load_json


class AnotherComparisonError(UserError):
    """The folder holds the results of other options."""


@dataclass(frozen=True)
class OneFit:
    """What one setting of a method gave.

    Attributes:
        rows: one row per test point: ``index``, ``label`` (1 sensitive), ``predicted``; per level and
            native norm ``radius_<norm>_<level>`` (0 where not flagged, NaN for the other class, which
            is not certified, and where a level does not cover a point); per level ``seconds_<level>``, of
            all native norms together. Of several classes ``label`` and ``predicted`` are names, and a
            radius is 0 where they differ.
        record: of the fit.
        classes: names of several classes that each are to stay what they are; none: one is sensitive.
    """

    rows: pd.DataFrame
    record: FitRecord
    classes: tuple[str, ...] = ()

    @property
    def counted(self) -> NDArray[np.bool_]:
        """(n,): the points whose radii count."""
        return counted(self.rows["label"].to_numpy(), self.classes)

    @property
    def right(self) -> NDArray[np.bool_]:
        """(n,): the points that are predicted as what they are."""
        found: NDArray[np.bool_] = (self.rows["predicted"] == self.rows["label"]).to_numpy()
        return found


class StoredFit(TypedDict):
    """The record of a fit as its folder keeps it, step by step.

    Attributes:
        fingerprint: what decides the rows: a folder with another one holds another comparison.
        model_sha256, rows_sha256: of the model, and of the rows of every finished step by file name.
        measurements: at the end.
    """

    fingerprint: dict[str, Any]
    setting: Setting
    facts: dict[str, Any]
    train_seconds: float
    unavailable: dict[str, str]
    provenance: Provenance
    model_sha256: str
    rows_sha256: NotRequired[dict[str, str]]
    measurements: NotRequired[dict[str, float]]


def run_one_fit(
    method: CertifiedMethod, data: ComparisonData, folder: Path, progress: bool
) -> OneFit:
    """Fit ``method`` and certify every test point, or go on where a killed run stopped.

    Everything is kept in ``folder``: the model, the record of the fit, and one file of rows for each
    finished step.

    Raises:
        AnotherComparisonError: ``folder`` holds the results of other options.
    """
    record = _fitted(method, data, folder, progress)
    steps = [
        slice(start, min(start + method.points_per_step, len(data.test)))
        for start in range(0, len(data.test), method.points_per_step)
    ]
    title = f"{method.name} {_words(method)}certify"
    with progress_bar(title, len(data.test), progress) as tick:
        parts = [_step(method, data, step, folder / "rows", record, tick) for step in steps]
    rows = pd.concat(parts, ignore_index=True)
    if "measurements" not in record:
        kept = np.flatnonzero(data.counted & (rows["predicted"] == rows["label"]).to_numpy())
        record["measurements"] = method.measurements(data.test.x[torch.from_numpy(kept[:10])])
        _write(record, folder)
    return OneFit(rows, fit_record({**record, "covered": _covered(method, data)}), data.classes)


def fit_record(fields: Mapping[str, Any]) -> FitRecord:
    """Those of ``fields`` that belong to the record of a fit.

    Raises:
        KeyError: one is missing.
    """
    known = {"covered": {}, **fields}  # records of earlier versions, where every level covered all
    return cast("FitRecord", {name: known[name] for name in FitRecord.__annotations__})


def _covered(method: CertifiedMethod, data: ComparisonData) -> dict[str, int]:
    """The levels that are about the first so many test points only."""
    asked = {level: method.covers(level) for level in method.levels}
    return {level: n for level, n in asked.items() if n is not None and n < len(data.test)}


def _words(method: CertifiedMethod) -> str:
    return "".join(f"{key} {value} " for key, value in method.setting.items())


def _fingerprint(method: CertifiedMethod, data: ComparisonData) -> dict[str, Any]:
    """Of a fit on this data."""
    options = {**asdict(method.options), "shape": list(method.options.shape)}
    if not method.costly or method.options.costly_limit is None:
        del options["costly_limit"]
    options.pop("names", None)  # class_names below
    sizes = {"n_fitting": len(data.fitting), "n_test": len(data.test)}
    # Steps of another length would have other rows in files of the same names.
    sizes["points_per_step"] = method.points_per_step
    named = {"class_names": list(data.classes)} if data.classes else {}
    return {
        "method": method.name,
        "setting": method.setting,
        **options,
        **sizes,
        **named,
        "data": data.digest,
    }


def _fitted(
    method: CertifiedMethod, data: ComparisonData, folder: Path, progress: bool
) -> StoredFit:
    """Load the fit of an earlier run, or fit; the record so far."""
    fingerprint, path = _fingerprint(method, data), folder / "record.json"
    if path.exists():
        try:
            found = load_json(path)
        except UserError as error:
            raise UserError(f"{error}; delete {folder} to fit anew") from error
        if not isinstance(found, dict) or not isinstance(found.get("fingerprint"), dict):
            raise UserError(f"{path} is no record of a fit; delete {folder} to fit anew")
        kept = cast("StoredFit", found)
        if kept["fingerprint"] != fingerprint:
            different = [k for k in fingerprint if kept["fingerprint"].get(k) != fingerprint[k]]
            said = f"{folder} holds results with another {', '.join(different)}"
            if set(different) <= {"method", "setting"}:
                raise UserError(f"{said}; delete it to fit anew")
            raise AnotherComparisonError(f"{said}; delete it or choose another --out")
        if kept.get("model_sha256") != _digest(folder / "model"):
            raise UserError(
                f"{folder / 'model'} is not the model that was fitted; delete {folder} to fit anew"
            )
        method.load(folder / "model")
        return kept
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(method.options.seed)
    origin, started = provenance(), time.perf_counter()
    with progress_bar(
        f"{method.name} {_words(method)}fit", method.options.epochs, progress
    ) as tick:
        facts = method.fit(data.fitting, data.validation, folder=folder / "training", tick=tick)
    seconds = time.perf_counter() - started
    method.save(folder / "model")
    record: StoredFit = {
        "fingerprint": fingerprint,
        "setting": method.setting,
        "facts": checked_facts(method, facts),
        "train_seconds": seconds,
        "unavailable": {},
        "provenance": origin,
        "model_sha256": _digest(folder / "model"),
    }
    _write(record, folder)
    return record


def _digest(path: Path) -> str:
    """Of a file or a folder of files, names included."""
    digest = hashlib.sha256()
    for part in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if part.is_file():
            digest.update(part.relative_to(path.parent).as_posix().encode())
            digest.update(part.read_bytes())
    return digest.hexdigest()


def _write(record: StoredFit, folder: Path) -> None:
    write_text(folder / "record.json", dump_json(record))


def _step(
    method: CertifiedMethod,
    data: ComparisonData,
    step: slice,
    folder: Path,
    record: StoredFit,
    tick: Ticker,
) -> pd.DataFrame:
    """Certify the points of one step, or read what an earlier run wrote."""
    path = folder / f"{step.start:06d}.parquet"
    digests = record.setdefault("rows_sha256", {})
    if path.name not in digests or not path.exists():
        frame = _certified(method, data, step, record)
        with replacing(path) as scratch:
            frame.to_parquet(scratch, index=False)
        digests[path.name] = _digest(path)
        _write(record, folder.parent)
    elif _digest(path) != digests[path.name]:
        # Damaged, or copied from another setting, step or folder.
        raise UserError(
            f"{path} is not what was certified; delete it, and the same command certifies its points "
            "again"
        )
    tick(step.stop - step.start, "")
    return pd.read_parquet(path)


def _predictions(method: CertifiedMethod, x: Tensor) -> NDArray[np.int64]:
    """(n,): numbers of classes, or 1 where flagged."""
    if isinstance(method, ClassMethod):
        return classes_of(method, x)
    assert isinstance(method, Method)
    return flags_of(method, x).astype(np.int64)


def _certified(
    method: CertifiedMethod, data: ComparisonData, step: slice, record: StoredFit
) -> pd.DataFrame:
    x, y, counts = data.test.x[step], data.test.y[step].numpy(), data.counted[step]
    predicted = _predictions(method, x)
    # Nobody gains from faking the other class, so only points that count are certified.
    kept = np.flatnonzero(counts & (predicted == y))
    names = np.array(data.classes, dtype=object) if data.classes else np.arange(2, dtype=np.int8)
    columns: dict[str, Any] = {
        "index": np.arange(step.start, step.stop, dtype=np.int64),
        "label": names[y],
        "predicted": names[predicted],
    }
    for level in method.levels:
        most = method.covers(level)
        end = len(y) if most is None else min(len(y), most - step.start)
        asked = kept[kept < end]
        # Points of several classes all count, with a radius of 0 where nothing else is said.
        if level in record["unavailable"] or end <= 0 or not (len(asked) or data.classes):
            continue
        started = time.perf_counter()
        radii = {p: np.zeros(0) for p in method.native_norms}
        try:
            if len(asked):
                radii = radii_of(method, x[torch.from_numpy(asked)], level)
        except UserError as error:
            record["unavailable"][level] = str(error)
            continue
        seconds = np.full(len(y), np.nan)
        seconds[asked] = (time.perf_counter() - started) / max(1, len(asked))
        columns[seconds_column(level)] = seconds
        for p, radius in radii.items():
            column = np.where(counts, 0.0, np.nan)
            column[asked] = radius
            column[end:] = np.nan
            columns[radius_column(p, level)] = column
    return pd.DataFrame(columns)
