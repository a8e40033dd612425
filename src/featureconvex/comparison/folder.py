"""A comparison's folder: the two files from which everything else is rebuilt."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from featureconvex.baselines.description import Description, setting_words
from featureconvex.comparison.curves import GRIDS, stored
from featureconvex.comparison.fit import AnotherComparisonError, OneFit, fit_record
from featureconvex.comparison.metrics import Failure, MethodResult, derive_comparison
from featureconvex.comparison.schema import ComparisonTables, Head
from featureconvex.errors import UserError
from featureconvex.files import replacing, write_text
from featureconvex.report.folders import COMPARISON_FILE, refuse_other_results
from featureconvex.results.strict_json import dump_json, load_json

ROWS_FILE = "rows.parquet"
# What every method's rows have, besides radii, statuses and times.
OWN_COLUMNS = ("index", "label", "predicted", "method", "setting")
DERIVED = ("reference", "methods", "ordering", GRIDS)
REMEDY = (
    f"delete {COMPARISON_FILE} and {ROWS_FILE}, and run the `featureconvex compare` command again: "
    "it makes both anew from what methods/ keeps of the methods that it names"
)


# What a user chooses of a comparison, in words of the command line. The rest of a head follows from it, or
# from the data.
_CHOSEN = {
    "task": "task",
    "multi_class": "--multi-class",
    "sensitive_name": "--sensitive",
    "n_test": "test points (--limit)",
    "samples": "--samples",
    "epochs": "--epochs",
    "seed": "--seed",
}


@dataclass(frozen=True)
class Comparison:
    """A comparison in memory.

    Attributes:
        results: every method and what became of it, in the order of tables and figures.
        head: task, sizes, ``shape`` of one input, seed, provenance.
    """

    results: Sequence[MethodResult]
    head: Head

    @property
    def dimension(self) -> int:
        """The number of coordinates of one input."""
        return int(np.prod(self.head["shape"]))

    def derive(self) -> ComparisonTables:
        """All numbers, of which ``comparison.json`` holds some shortened (:func:`stored`)."""
        return derive_comparison(self.results, self.dimension, self.head)


def write_comparison(comparison: Comparison, folder: Path) -> list[Path]:
    """Write ``comparison.json`` and ``rows.parquet``: one row per (method, setting, test point)."""
    written = [folder / COMPARISON_FILE]
    frames = [
        fit.rows.assign(method=result.method.name, setting=setting_words(fit.record["setting"]))
        for result in comparison.results
        for fit in result.fits
    ]
    if frames:
        rows = pd.concat(frames, ignore_index=True)
        with replacing(folder / ROWS_FILE) as scratch:
            rows.to_parquet(scratch, index=False)
        written.append(folder / ROWS_FILE)
    write_text(folder / COMPARISON_FILE, dump_json(stored(comparison.derive())))
    return written


def read_comparison(folder: Path) -> Comparison:
    """Read what :func:`write_comparison` wrote; needs neither the methods' code nor their models.

    Raises:
        UserError: a file is missing, damaged, of an earlier version, or they do not belong together.
    """
    path = folder / COMPARISON_FILE
    table = _load_table(path)
    try:
        head = cast("Head", {key: value for key, value in table.items() if key not in DERIVED})
        ran = any("reason" not in method for method in table["methods"].values())
        rows = _read_rows(folder / ROWS_FILE) if ran else pd.DataFrame()
        classes = tuple(table.get("classes", ()))
        results = [
            _method_result(Description.from_table(name, method), method, rows, folder, classes)
            for name, method in table["methods"].items()
        ]
        comparison = Comparison(results, head)
        _ = comparison.dimension
    except UserError:
        raise
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} is no comparison that this version can read ({type(error).__name__}: {error}); "
            + REMEDY
        ) from error
    return comparison


def kept_results(folder: Path, head: Head) -> dict[str, MethodResult]:
    """What an earlier comparison left in ``folder``, by method; nothing in a new folder.

    Args:
        folder: of the comparison.
        head: of the comparison to come: task, sizes, samples, epochs, seed, data.

    Raises:
        AnotherComparisonError: the folder holds another comparison.
        UserError: it cannot be read, or the folder holds a run.
    """
    path = folder / COMPARISON_FILE
    if not path.is_file():
        refuse_other_results(folder, own="compare")
        return {}
    table = _load_table(path)
    if any(table.get(key) != value for key, value in head.items()):
        raise AnotherComparisonError(
            f"{folder} holds another comparison ({_difference(table, dict(head))}); choose another --out "
            "or delete it"
        )
    return {result.method.name: result for result in read_comparison(folder).results}


def _difference(there: dict[str, Any], now: dict[str, Any]) -> str:
    """How two heads differ: in what the user chose, else in the data."""
    if there.get("task") != now["task"]:
        return f"of {there.get('task')}, now {now['task']}"
    changed = [
        f"{words} {_said(there.get(key))} there, {_said(now.get(key))} now"
        for key, words in _CHOSEN.items()
        if there.get(key) != now.get(key)
    ]
    return "; ".join(changed) or "of other data by the same name"


def _said(value: object) -> str:
    return "left out" if value is None else str(value)


def _load_table(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"{path} is missing; {REMEDY}")
    try:
        table = load_json(path)
    except UserError as error:
        raise UserError(f"{error}; {REMEDY}") from error
    if not isinstance(table, dict) or "methods" not in table:
        raise UserError(f"{path} is no comparison that this version can read; {REMEDY}")
    return table


def _read_rows(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise UserError(f"{path} is missing; {REMEDY}")
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as Parquet ({error}); {REMEDY}") from error


def _method_result(
    method: Description,
    table: dict[str, Any],
    rows: pd.DataFrame,
    folder: Path,
    classes: tuple[str, ...],
) -> MethodResult:
    if "reason" in table:
        return MethodResult(method, failures=[Failure({}, str(table["reason"]))])
    fits, name = [], method.name
    for setting in table["settings"]:
        words = setting_words(setting["setting"])
        own = rows[(rows["method"] == name) & (rows["setting"] == words)]
        if own.empty:
            raise UserError(
                f"{folder / ROWS_FILE} has no rows of {name} {words}".rstrip()
                + f", which {COMPARISON_FILE} names; the files are not from one comparison"
            )
        # A column of another method is empty here.
        own = own.drop(columns=["method", "setting"]).dropna(axis=1, how="all")
        fits.append(OneFit(own.reset_index(drop=True), fit_record(setting), classes))
    return MethodResult(method, fits, [Failure(**failed) for failed in table["failed"]])
