"""The folder of a run and that of a comparison: which is which, for their files have the same names."""

from pathlib import Path
from typing import Literal

from featureconvex.errors import UserError
from featureconvex.results.record import RECORD_FILE

COMPARISON_FILE = "comparison.json"
METHODS_FOLDER = "methods"
REPORT_FILE = "report.html"
FIGURES_FOLDER = "figures"
Kind = Literal["run", "compare"]
"""The command that wrote a folder."""


def kind_of_folder(folder: Path) -> Kind | None:
    """Which command's results a folder holds, or held before a file was lost; None where neither's."""
    record = (folder / RECORD_FILE).exists()
    if (folder / COMPARISON_FILE).is_file() or ((folder / METHODS_FOLDER).is_dir() and not record):
        return "compare"
    return "run" if record else None


def refuse_other_results(folder: Path, own: Kind | None = None) -> None:
    """Make sure that nothing written into ``folder`` replaces the results of another command.

    Args:
        folder: to be written to.
        own: the command that asks, if its results are of a kind.

    Raises:
        UserError: it holds results of another kind.
    """
    kind = kind_of_folder(folder)
    if kind not in (None, own):
        raise UserError(
            f"{folder} holds the results of `featureconvex {kind}`; choose another --out or delete it"
        )
