"""All ten classes of a family of pairs, put together from five of its pairs."""

from functools import lru_cache
from pathlib import Path

import torch

from featureconvex.data import to_tensor
from featureconvex.study.small_models.datasets import load
from featureconvex.training.points import Points

FAMILIES = {"mnist": "MNIST", "fashion": "Fashion-MNIST", "digits": "small digits"}


@lru_cache(maxsize=1)
def ten_classes(family: str, data_dir: Path | None) -> tuple[Points, Points]:
    """Training and test points with labels 0 to 9."""
    halves: tuple[list[Points], list[Points]] = ([], [])
    for first in range(0, 10, 2):
        dataset = load(f"{family}-{first}-{first + 1}", data_dir)
        for kept, split in zip(halves, (dataset.train, dataset.test), strict=True):
            # The first of a pair is the sensitive one, 1.
            y = torch.from_numpy(split.y).long()
            kept.append(Points(to_tensor(split.x), first + 1 - y))
    train, test = (
        Points(torch.cat([part.x for part in parts]), torch.cat([part.y for part in parts]))
        for parts in halves
    )
    return train, test


def first_of_each(points: Points, most: int) -> Points:
    """The first ``most`` points of every class, in the order of the classes."""
    rows = [(points.y == label).nonzero().squeeze(1)[:most] for label in range(10)]
    mask = torch.zeros(len(points), dtype=torch.bool)
    mask[torch.cat(rows)] = True
    return points.subset(mask)
