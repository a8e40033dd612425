"""Proofs as files that a few independent lines can check."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featureconvex.theory.separability.lattice import Lattice
from featureconvex.theory.separability.verdicts import Verdicts


class Hyperplanes:
    """An ``.npy`` file of int64 (n, d), one normal per point, written when found; zero elsewhere.

    The numbers belong to the points divided by ``unit``, powers of two for a table:
    ``<normal, x / unit> > <normal, y / unit>`` for every ``y`` of the other class.
    """

    def __init__(self, path: Path, points: Lattice) -> None:
        shape = (len(points), points.dimension)
        self.path, self.unit = path, points.unit
        path.parent.mkdir(parents=True, exist_ok=True)
        self.table = np.lib.format.open_memmap(path, mode="w+", dtype=np.int64, shape=shape)
        self.large: dict[int, list[str]] = {}

    def see(self, rows: NDArray[np.intp], directions: NDArray[Any]) -> None:
        """Store directions (b, d) of points; those beyond 64 bits are kept as text."""
        for row, direction in zip(rows, directions, strict=True):
            if max(abs(int(v)) for v in direction) < 1 << 62:
                self.table[row] = direction.astype(np.int64)
            else:
                self.large[int(row)] = [str(int(v)) for v in direction]

    def close(self) -> dict[str, Any]:
        """What belongs beside the file: its name, the unit of every column, what did not fit."""
        self.table.flush()
        return {"file": self.path.name, "unit": self.unit, "larger": self.large}


def combinations(verdicts: Verdicts, own: NDArray[Any], others: NDArray[Any]) -> dict[str, Any]:
    """Of every point inside, the points of the other class it is a combination of, and exact weights.

    Numbers are those of the split, from 0; a weight is a fraction as text.
    """
    found = {
        int(own[row]): {
            "points": [int(others[i]) for i in proof.points],
            "weights": [str(weight) for weight in proof.weights],
        }
        for row, proof in verdicts.combinations.items()
    }
    twins = {int(own[row]): int(others[i]) for row, i in verdicts.duplicates.items()}
    return {"combinations": found, "duplicates": twins}
