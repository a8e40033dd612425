"""``featureconvex report``: rebuild a report from its rows."""

from pathlib import Path
from typing import Annotated

import typer

from featureconvex.cli.options import AsJson, Quiet
from featureconvex.feedback import feedback


def report(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder of a run or of a comparison.")
    ],
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Rebuild numbers, tables, figures and report.html from the rows of DIR, in seconds."""
    from featureconvex.report.folders import COMPARISON_FILE, kind_of_folder
    from featureconvex.results.metrics import METRICS_FILE
    from featureconvex.results.multi_class.record import is_of_classes
    from featureconvex.results.record import RECORD_FILE
    from featureconvex.results.strict_json import load_json

    numbers_file = METRICS_FILE
    # One of them only: a comparison loads every method, a run none.
    if kind_of_folder(directory) == "compare":
        from featureconvex.comparison.report.write import write_comparison_report as rebuild

        numbers_file = COMPARISON_FILE
    elif is_of_classes(directory / RECORD_FILE):
        from featureconvex.report.multi_class.report import write_class_report as rebuild
    else:
        from featureconvex.report.report import write_report as rebuild

    with feedback(quiet, as_json) as say:
        places = [f"report: {rebuild(directory)[-1]}"]
        say(list, places, lambda: load_json(directory / numbers_file))
