"""Certificates of files whose known slack may be filled with any bytes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from featureconvex.certificates import Box, Certificate, Level, Slack, certify
from featureconvex.certificates.certificate import Status, joined
from featureconvex.data.files.byte_counts import ByteCounts
from featureconvex.data.files.contents import file_size
from featureconvex.data.files.slack import Run, marked, removable
from featureconvex.errors import UserError
from featureconvex.experiment.certifying.plots import Plots
from featureconvex.models.model import FeatureConvexModel


def certify_slack(
    model: FeatureConvexModel,
    x: NDArray[np.float64],
    files: Sequence[Path],
    runs: Sequence[Sequence[Run]],
    form: ByteCounts,
    level: str | Level,
) -> tuple[Certificate, list[UserError | None]]:
    """One row for each file: its bytes of slack, if any bytes there keep the flag, or 0.

    A file without slack has an infinite radius. A file whose slack is not inside it is unreadable.

    Args:
        model: of counts.
        x: (n, buckets).
        files: where they are.
        runs: the slack of each.
        form: what is counted.
        level: of the certificates.
    """
    counted, going = np.array([len(own) for own in runs]), np.zeros_like(x)
    errors: list[UserError | None] = [None] * len(files)
    for place in np.flatnonzero(counted).tolist():
        try:
            content = np.fromfile(files[place], dtype=np.uint8)
            going[place] = removable(content, runs[place], form)
        except (OSError, UserError) as error:
            errors[place] = UserError(f"{files[place]}: {error}")
    dtype = model.dtype
    here = torch.from_numpy(x).to(dtype)
    # Rounded as the model rounds the counts of the filled file.
    low = torch.from_numpy(x - going).to(dtype).double().clamp_min(0)
    hi = torch.full_like(low, torch.inf)
    still = torch.from_numpy(counted == 0)
    hi[still], low[still] = here.double()[still], here.double()[still]
    # Gaps, of files that could not be read, are no interval; their rows say so.
    low, hi = low.nan_to_num(0.0), hi.nan_to_num(torch.inf)
    domain = Box.per_row(low, hi)
    parts, order = [], []
    for many in np.unique(np.maximum(counted, 1)):
        rows = np.flatnonzero(np.maximum(counted, 1) == many)
        some = torch.from_numpy(rows)
        threat = Slack(form.ngram, int(many))
        parts.append(certify(model, here[some], threat, domain.rows(some), level))
        order.append(rows)
    found = _in_order(joined(parts), np.concatenate(order))
    # A positive radius proves the flag of the file as it is, and without slack it stays so.
    kept = np.where(counted == 0, found.radius > 0, found.radius >= bytes_of(runs))
    return _answered(found, kept, runs, errors), errors


def certify_slack_of_plots(
    plots: Plots, files: Sequence[Path], runs: Sequence[Sequence[Run]]
) -> tuple[Certificate, list[UserError | None]]:
    """The same for files that a model sees as plots.

    Every byte of the slack may become any other: the value of a window of W bytes loses at most what its
    slack adds now, over 255 W, and gains at most (free bytes) / W. Slack after the plot changes nothing.

    Args:
        plots: the files as the model sees them.
        files: where they are.
        runs: the slack of each.
    """
    form, shape = plots.form, plots.x.shape
    there, free = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    errors: list[UserError | None] = [None] * len(files)
    for place in [place for place, own in enumerate(runs) if own]:
        try:
            content = np.fromfile(files[place], dtype=np.uint8, count=form.length)
            inside = marked(file_size(files[place]), runs[place], form.length)
        except (OSError, UserError) as error:
            errors[place] = UserError(f"{files[place]}: {error}")
            continue
        own = np.zeros(form.length, dtype=np.int64)
        own[: len(content)] = content * inside[: len(content)]
        there[place] = form.windows(own)
        free[place] = form.windows(inside.astype(np.int64))
    found = plots.between(there, 255 * free)
    answered = _answered(found, np.isinf(found.radius), runs, errors)
    return replace(answered, threat=Slack()), errors


def bytes_of(runs: Sequence[Sequence[Run]]) -> NDArray[np.float64]:
    """(n,): how much slack each file has."""
    sizes = [sum(end - first for first, end in own) for own in runs]
    return np.array(sizes, dtype=np.float64)


def _answered(
    found: Certificate,
    kept: NDArray[np.bool_],
    runs: Sequence[Sequence[Run]],
    errors: Sequence[UserError | None],
) -> Certificate:
    """All of the slack where the flag is ``kept``, ``inf`` where there is none, else 0."""
    total = bytes_of(runs)
    radius = np.where(kept, np.where(total == 0, np.inf, total), 0.0)
    status = found.status.copy()
    # Of a tight level's attacks nothing is said: they are about other numbers of bytes.
    upper = np.full(len(radius), np.nan)
    flagged = np.isin(status, [Status.certified, Status.unbounded, Status.boundary])
    status[flagged & (radius > 0)] = Status.certified
    status[flagged & (radius == 0)] = Status.boundary
    status[flagged & np.isinf(radius)] = Status.unbounded
    lost = np.array([error is not None for error in errors])
    status[lost], radius[lost] = Status.unreadable, 0.0
    radius[~flagged] = 0.0
    return replace(found, radius=radius, upper=upper, status=status)


def _in_order(found: Certificate, rows: NDArray[np.intp]) -> Certificate:
    """The same with each entry at the place that ``rows`` says."""
    names = ("radius", "upper", "status", "margin", "slope")
    back = np.argsort(rows)
    return replace(found, **{name: getattr(found, name)[back] for name in names})


def runs_of(names: Sequence[str], known: Mapping[str, Sequence[Run]]) -> list[Sequence[Run]]:
    """The slack of each file, by its name; files that are not named have none."""
    return [known.get(name, ()) for name in names]
