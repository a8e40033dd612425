"""``examples.npz``: the most and the least robust test points, with the margin's gradient at each."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featureconvex.errors import UserError
from featureconvex.files import replacing
from featureconvex.results.columns import RadiusColumn
from featureconvex.results.rows import flagged, sensitive

EXAMPLES_FILE = "examples.npz"


@dataclass(frozen=True)
class Examples:
    """A few test points, as arrays of one length m (0 where nothing was certified).

    Attributes:
        index: (m,), the ``index`` of each point in the rows.
        x: (m, c, h, w) pixels, uint8 in [0, 255] or float in [0, 1]; or (m, d) features in raw units.
        gradient: the shape of ``x``, the margin's gradient in ``x`` (pixels counted in [0, 1]).
    """

    index: NDArray[np.int64]
    x: NDArray[Any]
    gradient: NDArray[np.floating[Any]]

    def __post_init__(self) -> None:
        if (
            self.index.ndim != 1
            or self.x.shape[:1] != self.index.shape
            or self.x.ndim not in (2, 4)
        ):
            raise UserError(
                f"examples must be images (m, c, h, w) or tables (m, d) with one index each, "
                f"got x of shape {self.x.shape} for {self.index.size} indices"
            )
        if self.gradient.shape != self.x.shape:
            raise UserError(
                f"each example needs a gradient of its own shape, "
                f"got {self.gradient.shape} for {self.x.shape}"
            )

    def __len__(self) -> int:
        return len(self.index)


@dataclass(frozen=True)
class Specimen:
    """One example joined with its row: ``x`` and ``gradient`` without the leading dimension.

    ``place`` says in words where it comes from.
    """

    index: int
    radius: float
    margin: float
    x: NDArray[Any]
    gradient: NDArray[np.floating[Any]]
    place: str = ""


def choose_examples(rows: pd.DataFrame, column: str, each: int = 8) -> NDArray[np.int64]:
    """``index`` of the ``each`` most and ``each`` least robust correctly flagged points, no repetition.

    Only certified points count (radius > 0): the others have no radius to compare.
    """
    chosen = rows[sensitive(rows) & flagged(rows) & (rows[column] > 0)]
    falling = chosen.sort_values([column, "index"], ascending=[False, True])
    ordered: NDArray[np.int64] = falling["index"].to_numpy(dtype=np.int64)
    if len(ordered) <= 2 * each:
        return ordered
    return np.concatenate([ordered[:each], ordered[-each:]])


def most_and_least(
    rows: pd.DataFrame, examples: Examples, column: RadiusColumn
) -> tuple[list[Specimen], list[Specimen]]:
    """The examples split in halves by radius: most robust first, and least robust first.

    Raises:
        UserError: an example has no row.
    """
    place = {int(index): row for row, index in enumerate(rows["index"])}
    unknown = sorted(set(examples.index.tolist()) - set(place))
    if unknown:
        raise UserError(f"{EXAMPLES_FILE} shows test point {unknown[0]}, which has no row")
    radius, margin = (rows[name].to_numpy(dtype=np.float64) for name in (column.name, "margin"))
    specimens = [
        Specimen(
            index=int(index),
            place=_place(rows, place[int(index)]),
            radius=float(radius[place[int(index)]]),
            margin=float(margin[place[int(index)]]),
            x=examples.x[i],
            gradient=examples.gradient[i],
        )
        for i, index in enumerate(examples.index)
    ]
    specimens.sort(key=lambda s: (-s.radius, s.index))
    half = (len(specimens) + 1) // 2
    return specimens[:half], specimens[half:][::-1]


def _place(rows: pd.DataFrame, row: int) -> str:
    """The file, or the number of the source row; an older run knows the place in its test split only."""
    if "row" not in rows:
        return f"no. {rows['index'].iloc[row]} of the test split"
    source = rows["row"].iloc[row]
    return source if isinstance(source, str) else f"row {source}"


def write_examples(examples: Examples, path: Path) -> None:
    """Write the examples as a compressed npz without pickles, whole or not at all."""
    with replacing(path) as temporary:
        np.savez_compressed(
            temporary, index=examples.index, x=examples.x, gradient=examples.gradient
        )


def read_examples(path: Path) -> Examples:
    """Read and check the examples at ``path``.

    Raises:
        UserError: the file is missing or damaged, or its arrays do not belong together.
    """
    if not path.is_file():
        raise UserError(
            f"{path} is missing; `featureconvex run TASK --out {path.parent}` writes it"
        )
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in ("index", "x", "gradient")}
    except (ValueError, OSError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} cannot be read as examples (truncated?): {error}") from error
    return Examples(**arrays)
