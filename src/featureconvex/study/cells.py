"""Finished cells on disk: one file each, written in one step, so that a killed study goes on."""

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from featureconvex.errors import UserError
from featureconvex.files import write_text
from featureconvex.provenance import git_revision
from featureconvex.report.folders import STUDY_FILE
from featureconvex.results.strict_json import dump_json, jsonable, load_json
from featureconvex.study.study import Row, Settings, Study

CELLS_FOLDER = "cells"


@dataclass(frozen=True)
class Plan:
    """What is to be found, in order.

    Attributes:
        study: whose cells they are.
        settings: of every cell.
        asked: what the user chose: ``quick``, ``seed``.
    """

    study: Study
    settings: Sequence[Settings]
    asked: dict[str, Any]

    @classmethod
    def of(cls, study: Study, quick: bool, seed: int) -> "Plan":
        """The plan for a user's choice."""
        settings = [jsonable(cell) for cell in study.cells(quick, seed)]
        return cls(study, settings, {"quick": quick, "seed": seed})

    def stamp(self) -> dict[str, Any]:
        """What a folder must agree on: the study, its version, the choice, and a digest of all settings."""
        text = json.dumps(list(self.settings), sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        return {
            "study": self.study.name,
            "version": self.study.version,
            **self.asked,
            "cells": len(self.settings),
            "digest": digest,
        }


def claim(folder: Path, plan: Plan) -> None:
    """Make the folder this plan's, or make sure that it is already.

    Raises:
        UserError: it holds cells of another study, version, choice or grid.
    """
    path, stamp = folder / STUDY_FILE, plan.stamp()
    if path.exists():
        before = load_json(path)
        if before != stamp:
            raise UserError(f"{folder} {_other(before, plan)}; choose another --out or delete it")
    else:
        write_text(path, dump_json(stamp))


def _other(before: Any, plan: Plan) -> str:
    """What a folder holds that is not this plan's, in words of the command line."""
    name = before.get("study") if isinstance(before, dict) else None
    if name is None:
        return f"has a {STUDY_FILE} of something else"
    if name != plan.study.name:
        return f"holds study {name}, and a folder holds one study"
    changed = [
        f"{_said(option, before.get(option))} there, {_said(option, value)} now"
        for option, value in plan.asked.items()
        if before.get(option) != value
    ]
    if changed:
        return f"holds study {name} with other options ({'; '.join(changed)})"
    return f"holds study {name} as another version of featureconvex does it"


def _said(option: str, value: Any) -> str:
    if isinstance(value, bool):
        return f"--{option}" if value else f"no --{option}"
    return f"--{option} {value}"


def finished(folder: Path, plan: Plan) -> dict[int, Row]:
    """The rows that are there already, by the number of their cell.

    Raises:
        UserError: a file does not hold the settings of its cell.
    """
    found = {}
    for number, settings in enumerate(plan.settings):
        path = cell_path(folder, number)
        if not path.exists():
            continue
        row = load_json(path)
        if not isinstance(row, dict) or row.get("settings") != settings:
            raise UserError(f"{path} does not hold the cell of its number; delete it")
        found[number] = row
    return found


def work(
    folder: Path, plan: Plan, missing: Sequence[int], data_dir: Path | None, jobs: int
) -> Iterator[tuple[int, Row]]:
    """Do the missing cells and write each; yields it when it is on disk.

    Args:
        folder: of the study.
        plan: all cells.
        missing: the numbers of those to do.
        data_dir: where data sets are.
        jobs: processes at a time; 1 works in this process.
    """
    if jobs == 1:
        for number in missing:
            yield number, done(plan.study, folder, number, plan.settings[number], data_dir)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        futures: dict[Future[Row], int] = {
            pool.submit(
                done_by_name, plan.study.name, folder, number, plan.settings[number], data_dir
            ): number
            for number in missing
        }
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def done_by_name(
    name: str, folder: Path, number: int, settings: Settings, data_dir: Path | None
) -> Row:
    """As :func:`done`, for another process."""
    from featureconvex.study.registry import find_study

    return done(find_study(name), folder, number, settings, data_dir)


def done(study: Study, folder: Path, number: int, settings: Settings, data_dir: Path | None) -> Row:
    """One cell's row, written."""
    revision()
    begun, worked = time.perf_counter(), time.process_time()
    found = study.work(settings, data_dir)
    row = {
        "settings": settings,
        **found,
        "seconds": time.perf_counter() - begun,
        "processor_seconds": time.process_time() - worked,
        "revision": revision(),
    }
    write_text(cell_path(folder, number), dump_json(row))
    # As a later run will read it, so that a study that was killed ends with the same numbers.
    return load_json(cell_path(folder, number))  # type: ignore[no-any-return]


@cache
def revision() -> str | None:
    """Of the code that this process runs: looked up once, whatever is edited meanwhile."""
    return git_revision()


def cell_path(folder: Path, number: int) -> Path:
    """The file of a cell."""
    return folder / CELLS_FOLDER / f"{number:04d}.json"
