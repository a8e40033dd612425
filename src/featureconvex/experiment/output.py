"""The folder that a run writes into: whose results it may hold, and the report at the end."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from featureconvex.errors import UserError
from featureconvex.files import writable_folder
from featureconvex.report.folders import refuse_other_results
from featureconvex.results.record import RECORD_FILE
from featureconvex.results.strict_json import load_json

CHECKPOINTS = "checkpoints"
"""The folder in it that a killed training continues from."""
# Tells the kinds of runs, which have different settings.
_KIND = "multi_class"


def output_folder(out: Path, task: str, asked: dict[str, Any]) -> Path:
    """``out``, made if missing; another run's model and report in it are not silently replaced.

    Args:
        out: the folder.
        task: the name of what is run.
        asked: the settings as plain values.

    Raises:
        UserError: it cannot be written, or holds results of another task, of other settings, or of another
            command.
    """
    folder = writable_folder(out)
    refuse_other_results(folder, own="run")
    if not (folder / RECORD_FILE).exists():
        return folder
    before = load_json(folder / RECORD_FILE)
    if not isinstance(before, dict) or "task" not in before:
        raise UserError(f"{folder / RECORD_FILE} is damaged; choose another --out or delete it")
    if before["task"] != task:
        raise UserError(
            f"{folder} holds the results of {before['task']}; choose another --out or delete it"
        )
    stored = before.get("asked", asked)
    names = [_KIND] if stored.get(_KIND) != asked.get(_KIND) else list(asked)
    changed = [
        f"{name} {_said(stored.get(name))} there, {_said(asked.get(name))} now"
        for name in names
        if stored.get(name) != asked.get(name)
    ]
    if changed:
        raise UserError(
            f"{folder} holds the results of other settings ({'; '.join(changed)}); choose another "
            "--out or delete it"
        )
    return folder


def _said(value: object) -> str:
    return "left out" if value is None else str(value)


def reported(folder: Path, write: Callable[[Path], list[Path]]) -> list[Path]:
    """The report of a run whose model, rows and record are written.

    Raises:
        UserError: a full disk or a file-size limit; what was computed is safe.
    """
    try:
        return write(folder)
    except OSError as error:
        raise UserError(
            f"the model and its rows are in {folder}, but not the report: {error}; free some space or "
            f"raise the limit, and `featureconvex report {folder}` writes it in seconds"
        ) from error
