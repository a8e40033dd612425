"""Files as counts of their bytes, or of n-grams of bytes in buckets."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from featureconvex.data.files.contents import BLOCK, blocks
from featureconvex.errors import UserError
from featureconvex.scalars import whole_number

BYTE_NAMES = tuple(f"byte_{value:02x}" for value in range(256))
LONGEST = 7
"""Bytes of an n-gram, which fit a 64-bit number."""
BUCKETS = 4096
# Odd: multiplying by it loses nothing, and the upper bits depend on all of a number's bits.
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class ByteCounts:
    """How often each byte value occurs; or the n-grams of every bucket, which a hash chooses.

    Every n-gram counts +1 in its bucket, so that :class:`featureconvex.Append` and its like know what an
    operation on the file does.

    Attributes:
        ngram: how many bytes, up to 7.
        buckets: a power of two; 256 for single bytes, which are counted one by one.
        most: bytes of a file; larger ones are refused. None: any number.

    Raises:
        UserError: other numbers.

    >>> ByteCounts()(np.frombuffer(b"aab", dtype=np.uint8))[[97, 98]]
    array([2., 1.])
    >>> ByteCounts(2, 16)(np.frombuffer(b"abab", dtype=np.uint8)).sum()
    np.float64(3.0)
    """

    ngram: int = 1
    buckets: int = 256
    most: int | None = None

    def __post_init__(self) -> None:
        if self.most is not None:
            whole_number("most", self.most, 1)
        whole_number("ngram", self.ngram, 1)
        whole_number("buckets", self.buckets, 2)
        if self.ngram > LONGEST:
            raise UserError(f"an n-gram has at most {LONGEST} bytes, got {self.ngram}")
        if self.buckets & (self.buckets - 1) or self.buckets > 2**20:
            raise UserError(f"buckets are a power of two up to 2^20, got {self.buckets}")
        if self.ngram == 1 and self.buckets != 256:
            raise UserError(f"single bytes are 256, got {self.buckets} buckets")

    @staticmethod
    def named(text: str, most: int | None = None) -> "ByteCounts":
        """What a user typed: ``histogram``, ``ngrams:2``, ``ngrams:3:4096``; with a cap.

        Raises:
            UserError: anything else.

        >>> ByteCounts.named("ngrams:2")
        ByteCounts(ngram=2, buckets=4096, most=None)
        """
        if text == "histogram":
            return ByteCounts(most=most)
        kind, *numbers = text.split(":")
        if kind != "ngrams" or len(numbers) not in (1, 2) or not all(map(str.isdecimal, numbers)):
            raise UserError(
                f"bytes are read as histogram, ngrams:N or ngrams:N:BUCKETS, got {text!r}"
            )
        if int(numbers[0]) == 1:
            return ByteCounts(1, int(numbers[1]) if numbers[1:] else 256, most)
        return ByteCounts(int(numbers[0]), int(numbers[1]) if numbers[1:] else BUCKETS, most)

    @property
    def name(self) -> str:
        """As :meth:`named` takes it."""
        return "histogram" if self.ngram == 1 else f"ngrams:{self.ngram}:{self.buckets}"

    @property
    def features(self) -> list[str]:
        """A name for every count."""
        if self.ngram == 1:
            return list(BYTE_NAMES)
        return [f"{self.ngram}-grams in bucket {place}" for place in range(self.buckets)]

    @property
    def words(self) -> str:
        """What a file was read as."""
        if self.ngram == 1:
            return "256 byte counts"
        return f"{self.ngram}-grams of bytes, counted in {self.buckets} buckets"

    def of_file(self, path: Path, block_size: int = BLOCK) -> NDArray[np.float64]:
        """The counts of a whole file, (buckets,), of which a block is in memory at a time.

        Raises:
            UserError: it cannot be read, is empty, or is larger than the cap.
        """
        counted, before = np.zeros(self.buckets), np.empty(0, dtype=np.uint8)
        for block in blocks(path, self.most, block_size):
            # The n-grams that end in this block, those that began in the one before among them.
            content = np.concatenate((before, block))
            counted += self(content)
            before = content[len(content) - min(len(content), self.ngram - 1) :]
        return counted

    def __call__(self, content: NDArray[np.uint8]) -> NDArray[np.float64]:
        """(bytes,) -> (buckets,)."""
        if self.ngram == 1:
            return np.bincount(content, minlength=256).astype(np.float64)
        many = max(0, len(content) - self.ngram + 1)
        value = np.zeros(many, dtype=np.uint64)
        for place in range(self.ngram):
            value = value << np.uint64(8) | content[place : place + many]
        bits = self.buckets.bit_length() - 1
        bucket = (value * _FACTOR) >> np.uint64(64 - bits)
        return np.bincount(bucket.astype(np.int64), minlength=self.buckets).astype(np.float64)
