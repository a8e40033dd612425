"""``featureconvex study NAME``: every cell, then the summary and its figure."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from featureconvex.errors import UserError
from featureconvex.files import writable_folder, write_bytes, write_text
from featureconvex.progress import progress_bar
from featureconvex.provenance import provenance
from featureconvex.report.folders import refuse_other_results
from featureconvex.report.plot_style import png_bytes
from featureconvex.results.strict_json import dump_json, jsonable
from featureconvex.study.cells import Plan, claim, finished, work
from featureconvex.study.registry import find_study


def run_study(
    name: str,
    out: Path,
    quick: bool = False,
    seed: int = 0,
    data_dir: Path | None = None,
    jobs: int = 1,
    progress: bool = True,
) -> dict[str, Any]:
    """Do a study and write ``NAME.json`` and ``NAME.png``; returns the content of the former.

    Every finished cell is one file below ``out``, so the same command continues a study that was killed.

    Args:
        name: of the study.
        out: the folder.
        quick: a small grid on bundled data.
        seed: of everything random; studies with several seeds count on from it.
        data_dir: where data sets are; None as for every task.
        jobs: processes at a time.
        progress: show a bar on standard error.

    Raises:
        UserError: there is no such study, ``out`` holds another study, or data is missing.
    """
    study = find_study(name)
    if seed < 0 or jobs < 1:
        raise UserError(f"--seed is at least 0 and --jobs at least 1, got {seed} and {jobs}")
    started = datetime.now(UTC)
    folder, plan = writable_folder(out), Plan.of(study, quick, seed)
    refuse_other_results(folder, own="study")
    claim(folder, plan)
    rows = finished(folder, plan)
    missing = [number for number in range(len(plan.settings)) if number not in rows]
    with progress_bar(name, len(plan.settings), progress) as tick:
        tick(len(rows), "found" if rows else "")
        for number, row in work(folder, plan, missing, data_dir, jobs):
            rows[number] = row
            tick(1, words(row["settings"]))
    ordered = [rows[number] for number in range(len(plan.settings))]
    result: dict[str, Any] = jsonable(study.summary(ordered))
    result |= {
        "seed": seed,
        "quick": quick,
        "processor_seconds": sum(row["processor_seconds"] for row in ordered),
        "revisions": sorted({str(row["revision"]) for row in ordered}),
        "provenance": provenance(started),
    }
    write_bytes(folder / f"{name}.png", png_bytes(study.figure(result)))
    for file, content in study.further(result).items():
        write_bytes(folder / file, content)
    write_text(folder / f"{name}.json", dump_json(result))
    return result


def words(settings: dict[str, Any], most: int = 60) -> str:
    """A cell's settings for the bar, without those that are many values.

    >>> words({"task": "mnist-3-8", "seed": 0})
    'task mnist-3-8, seed 0'
    """
    plain = {k: v for k, v in settings.items() if isinstance(v, str | int | float)}
    text = ", ".join(f"{name} {value}" for name, value in plain.items())
    return text if len(text) <= most else f"{text[: most - 1]}…"
