"""Files as plots of their first bytes: values in [0, 1], or means of windows with a fixed divisor."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from featureconvex.data.files.contents import file_size
from featureconvex.errors import UserError
from featureconvex.scalars import whole_number

LONGEST = 2**20


@dataclass(frozen=True)
class BytePlot:
    """The first ``values * window`` bytes: value j is the sum of window j over ``255 window``.

    Where the file has ended bytes count as 0, and the divisor stays, so appended bytes only raise values.
    What lies after the plot is not looked at.

    Attributes:
        values: how many.
        window: bytes of each.
        most: bytes of a file; larger ones are refused. None: any number.

    Raises:
        UserError: other numbers.

    >>> BytePlot(3, 2)(np.array([255, 255, 51], dtype=np.uint8))
    array([1. , 0.1, 0. ])
    """

    values: int
    window: int = 1
    most: int | None = None

    def __post_init__(self) -> None:
        for name in ("values", "window", "most"):
            if getattr(self, name) is not None:
                whole_number(name, getattr(self, name), 1)
        if self.values > LONGEST:
            raise UserError(f"a plot has at most {LONGEST} values, got {self.values}")

    @staticmethod
    def named(text: str, most: int | None = None) -> "BytePlot":
        """What a user typed: ``plot:1024``, ``plot:1024:16``.

        Raises:
            UserError: anything else.

        >>> BytePlot.named("plot:64:16").length
        1024
        """
        kind, *numbers = text.split(":")
        if kind != "plot" or len(numbers) not in (1, 2) or not all(map(str.isdecimal, numbers)):
            raise UserError(f"a plot is plot:VALUES or plot:VALUES:WINDOW, got {text!r}")
        return BytePlot(int(numbers[0]), int(numbers[1]) if numbers[1:] else 1, most)

    @property
    def name(self) -> str:
        """As :meth:`named` takes it."""
        return f"plot:{self.values}" + (f":{self.window}" if self.window > 1 else "")

    @property
    def length(self) -> int:
        """Bytes of the plot."""
        return self.values * self.window

    @property
    def features(self) -> list[str]:
        """A name for every value."""
        return list(self._features())

    def _features(self) -> Iterator[str]:
        for j in range(self.values):
            first = j * self.window
            yield f"byte {j}" if self.window == 1 else f"bytes {first} to {first + self.window - 1}"

    @property
    def words(self) -> str:
        """What a file was read as."""
        if self.window == 1:
            return f"first {self.values} bytes"
        return f"first {self.length} bytes, in means of {self.window}"

    def of_file(self, path: Path) -> NDArray[np.float64]:
        """The plot of a file: (values,).

        Raises:
            UserError: it cannot be read, is empty, or is larger than the cap.
        """
        file_size(path, self.most)
        try:
            return self(np.fromfile(path, dtype=np.uint8, count=self.length))
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror or error}") from error

    def __call__(self, content: NDArray[np.uint8]) -> NDArray[np.float64]:
        """(bytes,) -> (values,)."""
        padded = np.zeros(self.length, dtype=np.int64)
        head = content[: self.length]
        padded[: len(head)] = head
        return self.scaled(self.windows(padded))

    def windows(self, each: NDArray[np.int64]) -> NDArray[np.int64]:
        """(length,) -> (values,): the sum of each window."""
        found: NDArray[np.int64] = each.reshape(self.values, self.window).sum(axis=1)
        return found

    def scaled(self, sums: NDArray[np.int64]) -> NDArray[np.float64]:
        """Sums of windows as values: one division, so that a larger sum never has a smaller value."""
        return sums / np.float64(255 * self.window)

    def sums(self, x: NDArray[np.float64]) -> NDArray[np.int64]:
        """The sums of windows that make the values ``x``."""
        return np.rint(x * (255 * self.window)).astype(np.int64)

    def within(self, first: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.int64]:
        """(n, values): how many bytes of each window lie in ``[first, end)``, both (n,)."""
        starts = np.arange(self.values, dtype=np.int64) * self.window
        stops = np.minimum(starts + self.window, end[:, None])
        room: NDArray[np.int64] = stops - np.maximum(starts, first[:, None])
        return np.maximum(room, 0)
