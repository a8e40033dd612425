"""The rows of all pieces: numbered, counted and written as they come."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from featureconvex.certificates.certificate import Status
from featureconvex.data.files.contents import shown
from featureconvex.data.inputs.beginning import STANDARD_OUTPUT
from featureconvex.data.inputs.pieces import Piece, pieces
from featureconvex.data.meaning import Meaning
from featureconvex.data.tables.frame import STANDARD_INPUT
from featureconvex.errors import UserError
from featureconvex.experiment.certifying.parts import Parts
from featureconvex.experiment.certifying.summary import STATUS, Summary
from featureconvex.experiment.certifying.workers import Item, Outcome
from featureconvex.progress import remark
from featureconvex.results.columns import RADIUS

INPUT = "input"
"""The column that names the input of each row, where there are several."""
LAST = 10**8 - 1
"""The number of the part with the inputs that failed."""


class Rows:
    """Writes the rows of a job, and knows which of them a job before it has written.

    Args:
        paths: the inputs.
        out: the file, or ``-``.
        summary: counts, which grow.
        progress: tell remarks on standard error.
    """

    def __init__(self, paths: list[Path], out: Path, summary: Summary, progress: bool) -> None:
        self.paths = paths
        self.summary = summary
        self._parts = None if out == STANDARD_OUTPUT else Parts(out)
        self._progress = progress
        self._numbers: list[int] = []
        self._failed: dict[Path, UserError] = {}
        self._rows = dict.fromkeys(paths, 0)
        self._told: set[str] = set()
        self._like: pd.DataFrame | None = None

    def todo(self, meaning: Meaning, asked: dict[str, Any]) -> Iterator[Item]:
        """Every piece of every input, with its outcome where that is known."""
        parts, number = self._parts, 0
        there = parts is not None and parts.begin(asked) and STANDARD_INPUT not in self.paths
        for path in self.paths:
            try:
                for piece in pieces(path, meaning):
                    if path in self._failed:
                        break
                    known = parts.read(number) if parts is not None and there else None
                    yield replace(piece, number=number), known
                    number += 1
            except UserError as error:
                yield Piece(path, 0), error
                number += 1

    def put(self, piece: Piece, outcome: Outcome) -> None:
        """Write the rows of the next piece.

        Raises:
            UserError: the only input cannot be read.
        """
        path = piece.origin
        if path in self._failed:
            return
        if isinstance(outcome, UserError):
            self._failed[path] = outcome
            return
        if isinstance(outcome, pd.DataFrame):
            self._numbers.append(piece.number)
            self._count(path, outcome)
            return
        frame = outcome.frame
        if "file" not in frame:
            frame["row"] = np.arange(len(frame)) + self._rows[path]
            frame["index"] = frame["row"]
        if len(self.paths) > 1:
            frame.insert(0, INPUT, shown(path))
        for said in outcome.remarks:
            about = said.partition("; ")[0]
            if self._progress and about not in self._told:
                self._told.add(about)
                remark(said)
        self._write(piece.number, frame)
        self._count(path, frame)

    def finish(self) -> None:
        """Add a row for each input that was not read to its end, and make the file whole.

        Raises:
            UserError: no input gave any row.
        """
        if self._like is None:
            if self._parts is not None:
                self._parts.drop()
            raise next(iter(self._failed.values()))
        for path, error in self._failed.items():
            self.summary.failed.append(f"{error} ({self._rows[path]} rows before)")
        if self._failed:
            frame = self._of_failed(self._like)
            self._write(LAST, frame)
            self.summary.add(frame)
        if self._parts is not None:
            self._parts.finish(self._numbers)

    def _of_failed(self, like: pd.DataFrame) -> pd.DataFrame:
        """One row for each failed input, unreadable for every threat."""
        frame = like.head(0).reindex(range(len(self._failed)))
        names = [shown(path) for path in self._failed]
        for name in like.columns:
            if str(name).startswith(STATUS):
                frame[name] = str(Status.unreadable)
            elif str(name).startswith(RADIUS):
                frame[name] = 0.0
            elif name == INPUT or (name in ("row", "file") and "file" in like):
                frame[name] = names
            elif pd.api.types.is_integer_dtype(like[name].dtype):
                frame[name] = pd.array([None] * len(frame), dtype="Int64")
        return frame

    def _count(self, path: Path, frame: pd.DataFrame) -> None:
        self._like = frame
        self._rows[path] += len(frame)
        self.summary.add(frame)

    def _write(self, number: int, frame: pd.DataFrame) -> None:
        if self._parts is not None:
            self._parts.write(number, frame)
        else:
            frame.to_csv(sys.stdout, index=False, header=not self._numbers)
            sys.stdout.flush()
        self._numbers.append(number)
