"""Pictures with families, one of which stands in for clean."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featureconvex.data import resolve_data_dir, stratified_split
from featureconvex.data.named_tasks.malimg import CLEAN_FAMILY, MalimgReader

MALIMG_SIDE = 64


@dataclass(frozen=True, eq=False)
class Families:
    """Pictures, the family of each, and the one that is no malware.

    Attributes:
        images: (n, 1, h, w) uint8.
        family: (n,) names.
        clean: the name of the other class.
    """

    images: NDArray[np.uint8]
    family: NDArray[np.str_]
    clean: str

    @property
    def y(self) -> NDArray[np.int8]:
        """(n,) 1 for every family but the clean one."""
        return np.asarray(self.family != self.clean).astype(np.int8)

    def halves(self) -> tuple["Families", "Families"]:
        """Training and test, every family split 80 to 20."""
        train, test = stratified_split(self.family)
        return self.take(train), self.take(test)

    def take(self, rows: NDArray[Any]) -> "Families":
        """Some of them."""
        return Families(self.images[rows], self.family[rows], self.clean)


def malimg(data_dir: Path | None) -> tuple[Families, Families] | None:
    """Malimg's training and test pictures, whole and scaled; None where the user has no copy.

    Raises:
        UserError: the folder is damaged or incomplete.
    """
    reader, folder = MalimgReader("resize", MALIMG_SIDE), resolve_data_dir(data_dir)
    if not reader.locate(folder).found:
        return None
    dataset = reader.load("malimg", folder, download=False)
    halves = []
    for split, family in (
        (dataset.train, dataset.train_family),
        (dataset.test, dataset.test_family),
    ):
        assert family is not None
        halves.append(Families(split.x, family, CLEAN_FAMILY))
    return halves[0], halves[1]
