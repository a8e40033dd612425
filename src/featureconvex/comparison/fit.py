"""One method at one setting: fit, save, certify the test points step by step; resumable."""

import hashlib
import reprlib
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from featureconvex.baselines.method import Method
from featureconvex.comparison.data import ComparisonData
from featureconvex.errors import UserError
from featureconvex.files import replacing, write_text
from featureconvex.norms import norm_name
from featureconvex.progress import Ticker, progress_bar
from featureconvex.provenance import provenance
from featureconvex.results.strict_json import dump_json, load_json

FACTS = {"epochs", "train_accuracy"}
"""What ``fit`` must tell."""


class AnotherComparisonError(UserError):
    """The folder holds the results of other options."""


@dataclass(frozen=True)
class OneFit:
    """What one setting of a method gave.

    Attributes:
        rows: one row per test point: ``index``, ``label`` (1 sensitive), ``predicted``; per level and
            native norm ``radius_<norm>_<level>`` (0 where not flagged, NaN for the other class, which
            is not certified); per level ``seconds_<level>``, of all native norms together.
        record: ``setting``, ``facts`` from the fit, ``train_seconds``, ``measurements``,
            ``unavailable``: levels that refused the model, with the reason; and ``provenance`` of the
            fit, as settings of one comparison may come from several commands.
    """

    rows: pd.DataFrame
    record: dict[str, Any]


def run_one_fit(method: Method, data: ComparisonData, folder: Path, progress: bool) -> OneFit:
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
    if "measurements" not in record:
        flagged = _flagged_sensitive(method, data.test.x, data.test.y)
        record["measurements"] = method.measurements(data.test.x[flagged[:10]])
        _write(record, folder)
    return OneFit(pd.concat(parts, ignore_index=True), record)


def _words(method: Method) -> str:
    return "".join(f"{key} {value} " for key, value in method.setting.items())


def _fingerprint(method: Method, data: ComparisonData) -> dict[str, Any]:
    """What decides the rows: a folder with another one holds another comparison."""
    options = {**asdict(method.options), "shape": list(method.options.shape)}
    sizes = {"n_fitting": len(data.fitting), "n_test": len(data.test)}
    return {
        "method": method.name,
        "setting": method.setting,
        **options,
        **sizes,
        "data": data.digest,
    }


def _fitted(method: Method, data: ComparisonData, folder: Path, progress: bool) -> dict[str, Any]:
    """Load the fit of an earlier run, or fit; the record so far."""
    fingerprint, path = _fingerprint(method, data), folder / "record.json"
    if path.exists():
        try:
            record: dict[str, Any] = load_json(path)
        except UserError as error:
            raise UserError(f"{error}; delete {folder} to fit anew") from error
        if not isinstance(record, dict) or not isinstance(record.get("fingerprint"), dict):
            raise UserError(f"{path} is no record of a fit; delete {folder} to fit anew")
        if record["fingerprint"] != fingerprint:
            different = [k for k in fingerprint if record["fingerprint"].get(k) != fingerprint[k]]
            said = f"{folder} holds results with another {', '.join(different)}"
            if set(different) <= {"method", "setting"}:
                raise UserError(f"{said}; delete it to fit anew")
            raise AnotherComparisonError(f"{said}; delete it or choose another --out")
        if record.get("model_sha256") != _digest(folder / "model"):
            raise UserError(
                f"{folder / 'model'} is not the model that was fitted; delete {folder} to fit anew"
            )
        method.load(folder / "model")
        return record
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(method.options.seed)
    origin, started = provenance(), time.perf_counter()
    with progress_bar(
        f"{method.name} {_words(method)}fit", method.options.epochs, progress
    ) as tick:
        facts = method.fit(data.fitting, data.validation, folder=folder / "training", tick=tick)
    if not isinstance(facts, dict) or not facts.keys() >= FACTS:
        raise ValueError(
            f"{method.name}: fit must return a dict with at least {', '.join(sorted(FACTS))}, got "
            f"{reprlib.repr(facts)}"
        )
    record = {
        "fingerprint": fingerprint,
        "setting": method.setting,
        "facts": facts,
        "train_seconds": time.perf_counter() - started,
        "unavailable": {},
        "provenance": origin,
    }
    method.save(folder / "model")
    record["model_sha256"] = _digest(folder / "model")
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


def _write(record: dict[str, Any], folder: Path) -> None:
    write_text(folder / "record.json", dump_json(record))


def _step(
    method: Method,
    data: ComparisonData,
    step: slice,
    folder: Path,
    record: dict[str, Any],
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


def _flagged_sensitive(method: Method, x: Tensor, y: Tensor) -> Tensor:
    return torch.from_numpy(np.flatnonzero(_flags(method, x) & (y.numpy() > 0)))


def _flags(method: Method, x: Tensor) -> NDArray[np.bool_]:
    """What ``predict`` says, if it can be flags.

    Raises:
        ValueError: not an array of bool, one per point.
    """
    flags = method.predict(x)
    if not isinstance(flags, np.ndarray) or flags.shape != (len(x),) or flags.dtype != bool:
        raise ValueError(
            f"{method.name}: predict must return an array of {len(x)} bool, got {reprlib.repr(flags)}"
        )
    return flags


def _certified(
    method: Method, data: ComparisonData, step: slice, record: dict[str, Any]
) -> pd.DataFrame:
    x, y = data.test.x[step], data.test.y[step].numpy()
    predicted = _flags(method, x)
    # Nobody gains from faking the other class, so only sensitive points are certified and counted.
    asked = np.flatnonzero(predicted & (y > 0))
    columns: dict[str, Any] = {
        "index": np.arange(step.start, step.stop, dtype=np.int64),
        "label": y.astype(np.int8),
        "predicted": predicted.astype(np.int8),
    }
    for level in method.levels:
        if level in record["unavailable"] or not len(asked):
            continue
        started = time.perf_counter()
        try:
            radii = method.certify(x[torch.from_numpy(asked)], level)
        except UserError as error:
            record["unavailable"][level] = str(error)
            continue
        if not isinstance(radii, dict) or set(radii) != set(method.native_norms):
            raise ValueError(
                f"{method.name}, level {level}: certify must return a dict of the norms "
                f"{method.native_norms}, got {reprlib.repr(radii)}"
            )
        seconds = np.full(len(y), np.nan)
        seconds[asked] = (time.perf_counter() - started) / len(asked)
        columns[f"seconds_{level}"] = seconds
        for p, radius in radii.items():
            column = np.where(y > 0, 0.0, np.nan)
            column[asked] = _checked(radius, len(asked), f"{method.name}, level {level}, p = {p:g}")
            columns[f"radius_{norm_name(p)}_{level}"] = column
    return pd.DataFrame(columns)


def _checked(radius: NDArray[np.float64], count: int, source: str) -> NDArray[np.float64]:
    """The radii, if they can be any.

    Raises:
        ValueError: no array, another number of them than points asked for, a negative one, or a NaN.
    """
    fine = isinstance(radius, np.ndarray) and radius.shape == (count,) and radius.dtype.kind == "f"
    if not fine or not bool((radius >= 0).all()):
        raise ValueError(
            f"{source}: certify must return {count} radii >= 0, one per point and none of them NaN"
        )
    return radius
