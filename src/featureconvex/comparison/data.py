"""A task's points as every method gets them: the same split, the same test points, the same units."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featureconvex.data import ClassDataset, Dataset, hold_out, to_tensor
from featureconvex.errors import UserError
from featureconvex.training.points import Points

VALIDATION_FRACTION = 0.1


@dataclass(frozen=True)
class ComparisonData:
    """What a comparison works on.

    Attributes:
        fitting, validation: the training points, 90 % and 10 % of each class.
        test: the first test points, as many as asked for.
        classes: names of the classes that each are to stay what they are; none: the points of label 1
            are to stay there.
    """

    fitting: Points
    validation: Points
    test: Points
    classes: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one input."""
        return tuple(self.test.x.shape[1:])

    @property
    def counted(self) -> NDArray[np.bool_]:
        """(n,): the test points whose radii count."""
        return counted(self.test.y.numpy(), self.classes)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all inputs and labels, which also say which class is the sensitive one."""
        found = hashlib.sha256()
        for points in (self.fitting, self.validation, self.test):
            for part in (points.x, points.y):
                found.update(str((tuple(part.shape), part.dtype)).encode())
                found.update(part.contiguous().numpy().tobytes())
        return found.hexdigest()


def counted(labels: NDArray[np.generic], classes: Sequence[str]) -> NDArray[np.bool_]:
    """(n,): which points are to stay what they are: of several classes all, else those of label 1."""
    wanted: NDArray[np.bool_] = np.ones(len(labels), dtype=bool) if classes else labels == 1
    return wanted


def comparison_data(
    dataset: Dataset | ClassDataset, limit: int, seed: int, costly_limit: int | None = None
) -> ComparisonData:
    """Split and scale a task's data.

    Images are float32 in [0, 1]; the columns of tables are standardised by the training points, so
    that every method's radii are in training standard deviations.

    Args:
        dataset: a loaded task.
        limit: at most so many test points, the first.
        costly_limit: how many of these every method certifies; None: all.
        seed: of the validation split.

    Raises:
        UserError: ``limit`` < 1, no sensitive one among the first test points, or one of several classes
            has too few points.
    """
    if limit < 1:
        raise UserError(f"a comparison needs at least one test point, got --limit {limit}")
    fewest = limit if costly_limit is None else min(limit, costly_limit)
    x, test = to_tensor(dataset.train.x), to_tensor(dataset.test.x[:limit])
    if dataset.kind == "table":
        x, test = _standardised(x, test)
    y, test_y = (torch.from_numpy(v).long() for v in (dataset.train.y, dataset.test.y[:limit]))
    classes: tuple[str, ...] = ()
    if isinstance(dataset, ClassDataset):
        dataset.check_counts()
        classes = dataset.classes
    elif not bool(test_y[:fewest].any()):
        larger = "--limit" if fewest == limit else "--costly-limit"
        raise UserError(
            f"none of the first {fewest} test points is sensitive, so there is nothing to certify; "
            f"use a larger {larger}"
        )
    held = torch.from_numpy(hold_out(dataset.train.y, VALIDATION_FRACTION, seed))
    return ComparisonData(
        Points(x[~held], y[~held]), Points(x[held], y[held]), Points(test, test_y), classes
    )


def _standardised(x: Tensor, test: Tensor) -> tuple[Tensor, Tensor]:
    mean, std = x.mean(dim=0), x.std(dim=0, correction=0)
    std = torch.where(std > 0, std, torch.ones_like(std))
    return ((x - mean) / std).float(), ((test - mean) / std).float()
