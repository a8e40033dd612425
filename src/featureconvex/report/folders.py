"""Which command wrote a folder, for their files have the same names."""

from pathlib import Path
from typing import Literal

from featureconvex.errors import UserError
from featureconvex.results.record import RECORD_FILE
from featureconvex.results.strict_json import load_json

COMPARISON_FILE = "comparison.json"
METHODS_FOLDER = "methods"
REPORT_FILE = "report.html"
FIGURES_FOLDER = "figures"
TRADEOFF_FILE, SEPARABILITY_FILE, STUDY_FILE = "tradeoff.json", "separability.json", "study.json"
Kind = Literal["run", "compare", "tradeoff", "separability", "study"]
"""The command that wrote a folder."""
_OTHERS: dict[Kind, str] = {
    "tradeoff": TRADEOFF_FILE,
    "separability": SEPARABILITY_FILE,
    "study": STUDY_FILE,
}


def kind_of_folder(folder: Path) -> Kind | None:
    """Which command's results a folder holds, or held before a file was lost; None where neither's."""
    record = (folder / RECORD_FILE).exists()
    if (folder / COMPARISON_FILE).is_file() or ((folder / METHODS_FOLDER).is_dir() and not record):
        return "compare"
    if record:
        return "run"
    return next((kind for kind, name in _OTHERS.items() if (folder / name).is_file()), None)


def refuse_other_results(folder: Path, own: Kind | None = None) -> None:
    """Make sure that nothing written into ``folder`` replaces the results of another command.

    Args:
        folder: to be written to.
        own: the command that asks, whose own results it looks at itself; None: it replaces none.

    Raises:
        UserError: it holds results of another kind.
    """
    kind = kind_of_folder(folder)
    if kind not in (None, own):
        raise UserError(
            f"{folder} holds the results of `featureconvex {kind}`; choose another --out or delete it"
        )


def refuse_another_task(path: Path, task: str) -> None:
    """Make sure that a result in JSON, if there is one, is about a task.

    Raises:
        UserError: it is about another one, or damaged.
    """
    if not path.is_file():
        return
    found = load_json(path)
    before = found.get("task") if isinstance(found, dict) else None
    if before != task:
        raise UserError(
            f"{path.parent} holds the results of {before or 'something else'}; choose another --out or "
            "delete it"
        )
