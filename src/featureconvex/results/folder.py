"""A run's folder: the three files from which everything else is rebuilt."""

from dataclasses import dataclass
from pathlib import Path

from featureconvex.errors import UserError
from featureconvex.results.columns import RAW, RadiusColumn
from featureconvex.results.examples import EXAMPLES_FILE, Examples, read_examples
from featureconvex.results.radius_rows import RadiusRows
from featureconvex.results.record import RECORD_FILE, Record, read_record
from featureconvex.results.review import Review, read_review
from featureconvex.results.rows import ROWS_FILE, read_rows


@dataclass(frozen=True)
class Run(RadiusRows):
    """One run in memory: its rows, its record, its examples; all checked. And its attacker, where known."""

    record: Record
    examples: Examples
    review: Review | None = None

    @property
    def movable(self) -> RadiusColumn:
        """The headline's column, or the raw one where only that has a slope (see ``shifted_radii``)."""
        if self.headline.slope in self.rows.columns:
            return self.headline
        return self.closed_form(self.headline.threat, RAW)


def read_run(directory: Path) -> Run:
    """Read the three files of a run and check that they belong together.

    Raises:
        UserError: the folder or a file is missing, damaged, or does not fit the others.
    """
    if not directory.is_dir():
        raise UserError(
            f"there is no folder {directory}; `featureconvex run TASK --out {directory}` makes one"
        )
    run = Run(
        rows=read_rows(directory / ROWS_FILE),
        record=read_record(directory / RECORD_FILE),
        examples=read_examples(directory / EXAMPLES_FILE),
        review=read_review(directory),
    )
    _check_shapes(run, directory)
    return run


def _check_shapes(run: Run, directory: Path) -> None:
    record, shape = run.record, run.examples.x.shape[1:]
    expected = (
        tuple(record["image_shape"] or ())
        if record["kind"] == "image"
        else (len(record["feature_names"] or ()),)
    )
    if len(run.examples) and shape != expected:
        raise UserError(
            f"{directory}: {EXAMPLES_FILE} holds inputs of shape {shape}, {RECORD_FILE} says {expected}; "
            f"the files are not from one run"
        )
