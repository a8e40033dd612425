"""In Python: whether files keep their flags whatever fills their slack."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from featureconvex.certificates import Certificate, Level
from featureconvex.certificates.levels import level_named
from featureconvex.data.files.byte_counts import ByteCounts
from featureconvex.data.files.byte_plot import BytePlot
from featureconvex.data.files.contents import file_size
from featureconvex.data.files.samples import read_samples
from featureconvex.data.files.slack import Run, check_named, joined, read_slack
from featureconvex.detector import Detector
from featureconvex.errors import UserError
from featureconvex.experiment.certifying.plots import Plots
from featureconvex.experiment.certifying.slack import certify_slack as certify_slack_of_counts
from featureconvex.experiment.certifying.slack import certify_slack_of_plots
from featureconvex.given import file_path, whole_number

Name = str | Path


def certify_slack(
    detector: Any,
    files: Sequence[Name],
    slack: Mapping[Any, Sequence[tuple[int, int]]] | Name,
    level: str | Level = "domain",
) -> Certificate:
    """Whether files keep their flags whatever bytes fill their slack, for a detector of files.

    Args:
        detector: what ``fc.load`` gave, of files that were counted or plotted (``run --bytes``).
        files: n paths.
        slack: for each path as it stands in ``files``, or for the name of its file, places of
            ``(offset, length)`` in bytes; or a CSV file with the columns ``file``, ``offset`` and
            ``length``, as for ``featureconvex certify --slack``. Files that are not named have none.
        level: any that knows where an attacker may move.

    Returns:
        A certificate with n rows, its threat :class:`~featureconvex.Slack`: the number of a file's slack
        bytes if it keeps its flag, else 0; ``inf`` where it has none.

    Raises:
        UserError: another kind of model, a file that cannot be read, or slack that is not in it.
    """
    meaning = detector.meaning if isinstance(detector, Detector) else None
    if meaning is None or meaning.files != "other files":
        raise UserError(
            "slack is about the bytes of files, and this model was not trained on them; train it on a "
            "folder with `featureconvex run FOLDER --bytes ...`"
        )
    if not level_named(level).uses_domain:
        raise UserError(f"level {level_named(level).name} does not know where slack is; use domain")
    listed = [files] if isinstance(files, str | Path) else list(files)
    paths = [file_path("files", name) for name in listed]
    form = meaning.counts or ByteCounts()
    known = _known(slack)
    check_named(known, [name for path in paths for name in (path.name, str(path))])
    runs = [joined(known.get(str(path), known.get(path.name, ()))) for path in paths]
    found = read_samples(paths, "other files", None, finite=False, counts=form)
    x = meaning.numbers(found.x, "files")
    if isinstance(form, BytePlot):
        sizes = np.array([file_size(path) for path in paths], dtype=np.int64)
        certificate, errors = certify_slack_of_plots(
            Plots(detector, form, x, sizes, level), paths, runs
        )
    else:
        assert isinstance(form, ByteCounts)
        certificate, errors = certify_slack_of_counts(detector, x, paths, runs, form, level)
    for error in errors:
        if error is not None:
            raise error
    return certificate


def _known(slack: Any) -> dict[str, tuple[Run, ...]]:
    """First bytes and ends, by name."""
    if isinstance(slack, str | Path):
        return read_slack(file_path("slack", slack))
    if not isinstance(slack, Mapping):
        raise UserError(
            "slack is a CSV file, or {name: [(offset, length), ...]} with the names of files, got "
            f"{slack!r}"
        )
    found: dict[str, tuple[Run, ...]] = {}
    for name, places in slack.items():
        runs = []
        for place in places:
            try:
                offset, length = place
            except (TypeError, ValueError) as error:
                raise UserError(
                    f"the slack of {name} takes pairs (offset, length), got {place!r}"
                ) from error
            first = whole_number(f"offset of the slack of {name}", offset, 0)
            runs.append((first, first + whole_number(f"length of the slack of {name}", length, 0)))
        found[str(Path(name))] = joined(runs)
    return found
