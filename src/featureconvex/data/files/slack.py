"""Slack: places of a file whose bytes mean nothing, and so may be filled with any others.

A CSV file names them, with the columns ``file`` (as rows name it), ``offset`` and ``length`` in bytes, both
decimal or ``0x`` hexadecimal.
"""

import csv
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from featureconvex.data.files.byte_counts import ByteCounts
from featureconvex.errors import UserError

Run = tuple[int, int]
"""First byte, and the one after the last."""
COLUMNS = ("file", "offset", "length")


def read_slack(path: Path) -> dict[str, tuple[Run, ...]]:
    """The runs of each file, in order, without overlaps; neighbours that touch are one.

    Raises:
        UserError: no such file, other columns, or what is no whole number.
    """
    found: dict[str, list[Run]] = defaultdict(list)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            if not set(COLUMNS) <= set(rows.fieldnames or ()):
                raise UserError(
                    f"{path} needs the columns {', '.join(COLUMNS)}, got {rows.fieldnames or 'none'}"
                )
            for row in rows:
                first, length = (
                    _number(row[name], name, path, rows.line_num) for name in COLUMNS[1:]
                )
                if not row["file"]:
                    raise UserError(f"{path}, line {rows.line_num}: no file is named")
                found[row["file"]].append((first, first + length))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"cannot read {path} as CSV in UTF-8: {error}") from error
    return {name: joined(runs) for name, runs in found.items()}


def check_named(slack: Iterable[str], files: Iterable[str]) -> None:
    """Refuse slack of none of the files: one without slack keeps its flag whatever is filled.

    Raises:
        UserError: naming one of either.
    """
    named, there = set(slack), list(files)
    if named and not named & set(there):
        told = f"such as {there[0]!r}" if there else "and there are none"
        raise UserError(
            f"the slack is of files such as {sorted(named)[0]!r}, and no input has that name; files are "
            f"named as the rows name them, {told}"
        )


def joined(runs: Sequence[Run]) -> tuple[Run, ...]:
    """The same places as runs apart from each other, in order; empty ones are gone.

    >>> joined([(8, 9), (2, 4), (3, 6), (6, 7), (1, 1)])
    ((2, 7), (8, 9))
    """
    apart: list[Run] = []
    for first, end in sorted(run for run in runs if run[0] < run[1]):
        if apart and first <= apart[-1][1]:
            apart[-1] = (apart[-1][0], max(end, apart[-1][1]))
        else:
            apart.append((first, end))
    return tuple(apart)


def removable(
    content: NDArray[np.uint8], runs: Sequence[Run], form: ByteCounts
) -> NDArray[np.float64]:
    """(buckets,): how many n-grams of each touch a run; only these go when the runs are filled.

    >>> removable(np.frombuffer(b"abcd", dtype=np.uint8), [(1, 2)], ByteCounts(2, 16)).sum()
    np.float64(2.0)

    Raises:
        UserError: a run that ends beyond the file.
    """
    counted, done = np.zeros(form.buckets), 0
    for first, end in joined(runs):
        check_inside(first, end, len(content))
        # Those that begin at the run or just before it, each once.
        start = max(first - form.ngram + 1, done)
        counted += form(content[start : end + form.ngram - 1])
        done = end
    return counted


def marked(size: int, runs: Sequence[Run], length: int) -> NDArray[np.bool_]:
    """(length,): which of the first bytes of a file of ``size`` bytes are slack.

    >>> marked(5, [(1, 3)], 4)
    array([False,  True,  True, False])

    Raises:
        UserError: a run that ends beyond the file.
    """
    found = np.zeros(length, dtype=bool)
    for first, end in runs:
        check_inside(first, end, size)
        found[first:end] = True
    return found


def check_inside(first: int, end: int, size: int) -> None:
    """Refuse slack that is not in the file.

    Raises:
        UserError: it ends beyond ``size`` bytes.
    """
    if end > size:
        raise UserError(f"slack from {first} to {end} is beyond the end of a file of {size} bytes")


def _number(text: str | None, name: str, path: Path, line: int) -> int:
    try:
        value = int(text or "", 0)
    except ValueError:
        value = -1
    if value < 0:
        raise UserError(
            f"{path}, line {line}: {name} is a whole number of bytes >= 0, got {text!r}"
        )
    return value
