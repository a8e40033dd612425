"""Certificates of files seen as plots of their first bytes, in bytes that are appended or changed.

**Appended.** Only positions after the end of a file change, the first k of them, from 0 to at most 255:
value j rises by at most ``255 f_j / (255 W)``, where ``f_j`` is how many of these positions lie in its
window of W bytes, and never falls. So each file has a box of its own, and k is certified if nothing in the
box of k takes the flag away; fewer bytes have a smaller box.

**Changed.** A byte that becomes another moves one value by at most ``1 / W``: with W = 1 it changes one
coordinate, an l0 budget, else k of them move by at most ``k / W`` in l1. After the end nothing changes.

**Slack** that is filled with any bytes moves the values whose windows it lies in, and no others, between
what they are without it and what 255 in all of it makes of them: a box again.

**Inserted** bytes shift all that follows, so every value may change: nothing is certified.

Values are rounded to the model's type, and rounding is nondecreasing: ends of boxes are rounded alike.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from featureconvex.certificates import (
    L0,
    Append,
    Box,
    Certificate,
    Change,
    Domain,
    Level,
    Lp,
    Threat,
    certify,
)
from featureconvex.certificates.certificate import Status
from featureconvex.data.files.byte_plot import BytePlot
from featureconvex.errors import UserError
from featureconvex.models.model import FeatureConvexModel

Sizes = NDArray[np.int64]


@dataclass(frozen=True)
class OnPlot:
    """A question about files: how many bytes, or whether so many.

    Attributes:
        name: ``"append"`` or ``"change"``.
        size: None asks for the most.

    Raises:
        UserError: an operation that is not known for plots, and why.
    """

    name: str
    size: int | None = None

    def __post_init__(self) -> None:
        if self.name == "insert":
            raise UserError(
                "--threat insert cannot be certified for this model, which sees plots of files: inserted "
                "bytes shift all that follows, so every value of a plot may change"
            )

    @property
    def threat(self) -> Threat:
        """Under whose name certificates are."""
        return Append(size=self.size) if self.name == "append" else Change(size=self.size)


@dataclass(frozen=True)
class Plots:
    """Files as a model sees them.

    Attributes:
        model: of plots.
        form: the plot.
        x: (n, values).
        sizes: (n,), of the files in bytes.
        level: of the certificates.
    """

    model: FeatureConvexModel
    form: BytePlot
    x: NDArray[np.float64]
    sizes: Sizes
    level: str | Level

    def certify(self, asked: OnPlot) -> Certificate:
        """One row for each file.

        Raises:
            UserError: level ``closed-form``, which is blind to where a file ends.
        """
        found = self._appended(asked) if asked.name == "append" else self._changed(asked)
        if asked.size is not None:
            kept = found.radius >= asked.size
            size = np.where(np.isinf(found.radius), np.inf, float(asked.size))
            found = _with_radius(found, np.where(kept, size, 0.0))
        return replace(found, threat=asked.threat)

    def box(self, lower: NDArray[Any], sums: NDArray[Any], rows: NDArray[np.intp]) -> Domain:
        """From values ``lower`` to those of ``sums``, as the model rounds them; gaps are no interval."""
        ends = (lower[rows], self.form.scaled(sums[rows]))
        lo, hi = (torch.from_numpy(end).to(self.model.dtype).double() for end in ends)
        return Box.per_row(lo.nan_to_num(0.0), torch.maximum(hi, lo.nan_to_num(0.0)))

    def _certified(self, threat: Threat, domain: Domain, rows: NDArray[np.intp]) -> Certificate:
        return certify(self.model, torch.from_numpy(self.x[rows]), threat, domain, self.level)

    @property
    def _sums(self) -> NDArray[np.int64]:
        return self.form.sums(np.nan_to_num(self.x))

    def _appended_certificate(self, many: Sizes, rows: NDArray[np.intp]) -> Certificate:
        """Whether so many bytes, (n,), at the end of some of the files keep the flag: infinite radii."""
        free = self.form.within(self.sizes, self.sizes + many)
        return self._boxed(self.x, self._sums + 255 * free, rows)

    def between(self, less: NDArray[np.int64], more: NDArray[np.int64]) -> Certificate:
        """Whether every file keeps its flag wherever its sums go: infinite radii.

        A sum loses at most ``less``, (n, values), and what is left of it gains at most ``more``.
        """
        low = self._sums - less
        lower = np.where(less > 0, self.form.scaled(low), self.x)
        return self._boxed(lower, low + more, np.arange(len(self.x)))

    def _boxed(
        self, lower: NDArray[Any], sums: NDArray[Any], rows: NDArray[np.intp]
    ) -> Certificate:
        found = self._certified(Lp(np.inf), self.box(lower, sums, rows), rows)
        # No value moves by more than 1.
        return _with_radius(found, np.where(found.radius > 1, np.inf, 0.0))

    def _appended(self, asked: OnPlot) -> Certificate:
        left = np.maximum(self.form.length - self.sizes, 0)
        every = np.arange(len(self.x))
        start = left if asked.size is None else np.minimum(left, asked.size)
        whole = self._appended_certificate(start, every)
        radius = np.where(np.isinf(whole.radius), float(asked.size or np.inf), 0.0)
        if asked.size is not None:
            # No more can be told than was asked, but of files that fill the plot.
            radius = np.where((radius > 0) & (left == 0), np.inf, radius)
        else:
            # Every number that is kept was certified, and so is every smaller one.
            low, high = np.zeros_like(left), left.copy()
            while len(
                rows := np.flatnonzero((whole.margin > 0) & (radius == 0) & (high > low + 1))
            ):
                middle = low + (high - low) // 2
                kept = np.isinf(self._appended_certificate(middle, rows).radius)
                low[rows] = np.where(kept, middle[rows], low[rows])
                high[rows] = np.where(kept, high[rows], middle[rows])
            radius = np.where(radius == 0, low.astype(np.float64), radius)
        if self.form.most is not None:
            radius = np.minimum(radius, np.maximum(self.form.most - self.sizes, 0))
        return _with_radius(whole, radius)

    def _changed(self, asked: OnPlot) -> Certificate:
        every, width = np.arange(len(self.x)), self.form.window
        inside = self.form.within(np.zeros_like(self.sizes), self.sizes)
        lower = np.where(inside > 0, 0.0, self.x)
        domain = self.box(lower, np.where(inside > 0, 255 * inside, self._sums), every)
        if width == 1:
            return self._certified(L0(), domain, every)
        found = self._certified(Lp(1), domain, every)
        # Rounding moves each value a little more.
        eps = torch.finfo(self.model.dtype).eps
        room = (found.radius - self.form.values * eps) * width * (1 - 2.0**-40)
        most = np.maximum(np.ceil(np.where(np.isinf(room), 0.0, room)) - 1, 0.0)
        return _with_radius(found, np.where(np.isinf(room), np.inf, most))


def _with_radius(found: Certificate, radius: NDArray[np.float64]) -> Certificate:
    """Other radii, and what they say of rows that are flagged; 0 for rows that are not."""
    status = found.status.copy()
    flagged = np.isin(status, [Status.certified, Status.unbounded, Status.boundary])
    radius = np.where(flagged & (found.margin > 0), radius, 0.0)
    status[flagged & (radius > 0)] = Status.certified
    status[flagged & np.isinf(radius)] = Status.unbounded
    status[flagged & (radius == 0)] = Status.boundary
    return replace(found, radius=radius, upper=np.full(len(radius), np.nan), status=status)
