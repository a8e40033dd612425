"""``attacker.json``: what the attacker of a table or of files can do to a trained detector."""

from pathlib import Path
from typing import NotRequired, TypedDict, cast

import pandas as pd

from featureconvex.errors import UserError
from featureconvex.files import write_text
from featureconvex.results.strict_json import Number, dump_json, load_json

REVIEW_FILE = "attacker.json"


class Budget(TypedDict):
    """What one threat takes, over the flagged sensitive test points."""

    threat: str
    unit: str
    certified: int
    median: Number


class ColumnReview(TypedDict):
    """What one column is to the attacker; medians over flagged sensitive test points.

    ``step`` is one unit, or one standard deviation where that has the price, and null where it is one edit,
    of a category or boolean; ``step_takes`` the share of the score that it takes off at the present slope,
    of a category the edit that takes off most; ``alone`` how far this
    column alone may move, certified, in its own units (of a category or boolean: in the schema's).
    """

    column: str
    attacker: str
    price: str
    std: Number
    step: Number
    step_takes: Number
    alone: Number


class AtRisk(TypedDict):
    """A flagged sensitive test point of small certified budget, and the cheapest evasion found."""

    index: int
    row: str
    certified: Number
    evasion: str
    price: Number


class BaselineReview(TypedDict):
    """A detector without certificates, trained on the same rows."""

    method: str
    clean_accuracy: float
    auc: float


class Review(TypedDict):
    """The file.

    ``outside`` of the flagged sensitive test points lie where the attacker's ranges say there are none.
    """

    sentence: str
    level: str
    flagged: int
    outside: NotRequired[int]
    budgets: list[Budget]
    columns: list[ColumnReview]
    at_risk: list[AtRisk]
    baselines: list[BaselineReview]


def write_review(review: Review, folder: Path, kept: pd.DataFrame | None = None) -> None:
    """Write the file, and its tables as CSV (``attacker_columns.csv`` and so on) where they have rows.

    Args:
        review: the content.
        folder: of the run.
        kept: columns of the test rows that the user wants to see again: beside the rows at risk, too.
    """
    write_text(folder / REVIEW_FILE, dump_json(review))
    tables = {
        "columns": pd.DataFrame(review["columns"]),
        "at_risk": _with_kept(pd.DataFrame(review["at_risk"]), kept),
        "baselines": pd.DataFrame(review["baselines"]),
    }
    for name, rows in tables.items():
        if len(rows):
            write_text(folder / f"attacker_{name}.csv", rows.to_csv(index=False))


def _with_kept(rows: pd.DataFrame, kept: pd.DataFrame | None) -> pd.DataFrame:
    if kept is None or not len(rows):
        return rows
    beside = kept.iloc[rows["index"].to_numpy()].set_axis(rows.index, axis=0)
    ours = [name for name in beside.columns if name not in rows]
    return pd.concat(
        [rows[["index", "row"]], beside[ours], rows.drop(columns=["index", "row"])], axis=1
    )


def read_review(folder: Path) -> Review | None:
    """The file, or None where a run has none: of images, or of an older version.

    Raises:
        UserError: it is damaged.
    """
    path = folder / REVIEW_FILE
    if not path.exists():
        return None
    review = load_json(path)
    if not isinstance(review, dict) or not set(Review.__required_keys__) <= set(review):
        raise UserError(f"{path} is damaged; delete it, or run the task again")
    return cast("Review", review)
