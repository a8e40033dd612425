"""Which coordinates a caller means: a mask, indices, or names of columns.

What is meant is known when the shape of one input is, and for names when the model is: until then the
caller's words are kept.
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from featureconvex.errors import UserError
from featureconvex.given import real_array, whole_number

Shape = tuple[int, ...]
Blocks = Mapping[str, Sequence[int]]
"""Names that stand for several coordinates: the one-hot features of a column."""
NO_BLOCKS: Blocks = MappingProxyType({})
_IMMUTABLE = (
    "immutable takes one bool per coordinate (immutable=[False, True, False]), indices (immutable=[1]) "
    "or, where the model has column names, names (immutable=['age'])"
)
_DIRECTION = (
    "direction takes one number per coordinate, +1 (may only grow), -1 (may only shrink) or 0 (both "
    "ways), as in direction=[1, 0, -1], or the coordinates by index or name, as in direction={0: 1, 2: -1}"
)


class Immutable:
    """The coordinates that cannot change.

    Args:
        value: bools of the shape of one input (of images also broadcastable, such as (c, 1, 1); or one
            bool for all), indices of a vector's coordinates, or names of columns.

    Raises:
        UserError: anything else.
    """

    def __init__(self, value: object) -> None:
        self.mask: Tensor | None = None
        self.columns: tuple[int | str, ...] = ()
        self._clear = False
        if isinstance(value, set | frozenset):
            value = list(value)
        words = _words(value)
        if words is not None:
            self.columns = words
            return
        if isinstance(value, str | Mapping) or _mixes_bools(value):
            raise UserError(f"{_IMMUTABLE}; got {value!r}")
        array = real_array("immutable", value, "bools, indices or names")
        if array.dtype == np.bool_:
            self.mask = torch.from_numpy(np.array(array))
        elif not array.size:
            return
        elif array.ndim == 1 and array.dtype.kind in "iu":
            self.columns = tuple(int(index) for index in array)
            if len(set(self.columns)) < len(self.columns):
                once = sorted(set(self.columns), key=str)
                raise UserError(
                    f"immutable names a coordinate twice: {_listed(self.columns)}{self._as_mask()}; if it "
                    f"lists them by index, write immutable={_listed(once)}"
                )
        elif array.ndim > 1 and array.dtype.kind in "iu":
            raise UserError(
                f"a mask of shape {array.shape} needs bools: give immutable=mask.astype(bool)"
            )
        else:
            raise UserError(f"{_IMMUTABLE}; got {value!r}")

    @property
    def given(self) -> Tensor | list[int | str]:
        """What was meant, as :class:`~featureconvex.certificates.Box` takes it: a copy."""
        return list(self.columns) if self.mask is None else self.mask.clone()

    def named(self, names: Sequence[str], blocks: Blocks = NO_BLOCKS) -> "Immutable":
        """With names of columns turned into indices, and the name of a block into all of its indices."""
        known = Immutable([])
        known.mask = self.mask
        known.columns = tuple(
            index for key in self.columns for index in indices_of("immutable", key, names, blocks)
        )
        # Names cannot be a mask: [0] that was ["age"] is clear.
        known._clear = self._clear or any(isinstance(key, str) for key in self.columns)
        check_once("immutable", known.columns, len(names))
        return known

    def resolve(self, shape: Shape) -> Tensor:
        """Bools that broadcast to one input of ``shape``.

        Raises:
            UserError: it does not fit the shape, or could mean two things.
        """
        if self.mask is not None:
            return check_one_input("immutable", self.mask, shape, _IMMUTABLE)
        if not self._clear and len(shape) == 1 and len(self.columns) == shape[0]:
            self._refuse_bits()
        mask = torch.zeros(shape, dtype=torch.bool)
        for index in positions("immutable", self.columns, shape):
            mask[index] = True
        return mask

    def _as_mask(self) -> str:
        """A hint for 0s and 1s that may have been meant as bools."""
        if not set(self.columns) <= {0, 1}:
            return ""
        return f"; if it is a mask, write immutable={_listed([bool(bit) for bit in self.columns])}"

    def _refuse_bits(self) -> None:
        """Refuse 0 and 1 once for every coordinate: a mask, or all coordinates by index.

        Raises:
            UserError: showing both spellings.
        """
        bits = self.columns
        if not set(bits) <= {0, 1} or (1 in bits and len(bits) < 2):
            return
        every = _listed([place in bits for place in range(len(bits))])
        raise UserError(
            f"immutable={_listed(bits)} for inputs of length {len(bits)} can be read in two ways"
            f"{self._as_mask()}; if it lists {_listed(sorted(bits, key=str))} by index, write "
            f"immutable={every}"
        )


class Direction:
    """The coordinates that may move one way only.

    Args:
        value: -1, 0 and +1 in the shape of one input (of images also broadcastable; or one number for
            all), or ``{column: +1 or -1}`` by index or name.

    Raises:
        UserError: anything else.
    """

    def __init__(self, value: object) -> None:
        self.ways: Tensor | None = None
        self.columns: dict[int | str, int] = {}
        if isinstance(value, Mapping):
            for key, way in value.items():
                if not isinstance(key, str):
                    try:
                        key = whole_number("an index", key)
                    except UserError as error:
                        raise UserError(f"{_DIRECTION}; got the key {key!r}") from error
                if isinstance(way, bool | np.bool_) or not _is_one_of(way, (-1, 1)):
                    raise UserError(
                        f"direction takes +1 (may only grow) or -1 (may only shrink) for column "
                        f"{key!r}, got {way!r}; as in direction={{{key!r}: 1}}"
                    )
                self.columns[str(key) if isinstance(key, str) else key] = int(way)
            return
        try:
            array = real_array("direction", value)
        except UserError as error:
            raise UserError(f"{_DIRECTION}; got {value!r}") from error
        if array.dtype == np.bool_ or not np.isin(array, (-1, 0, 1)).all():
            raise UserError(f"{_DIRECTION}; got {value!r}")
        self.ways = torch.from_numpy(np.array(array, dtype=np.int64))

    @property
    def given(self) -> Tensor | dict[int | str, int]:
        """What was meant, as :class:`~featureconvex.certificates.Box` takes it: a copy."""
        return dict(self.columns) if self.ways is None else self.ways.clone()

    def named(self, names: Sequence[str], blocks: Blocks = NO_BLOCKS) -> "Direction":
        """With names of columns turned into indices.

        Raises:
            UserError: an unknown name, or that of a block, which can neither grow nor shrink.
        """
        for key in self.columns:
            if key in blocks and key not in names:
                members = ", ".join(repr(names[index]) for index in blocks[str(key)][:3])
                raise UserError(
                    f"direction names the column {key!r}, which is one-hot encoded and has no direction; "
                    f"name one of its features ({members} ...), or make the column immutable"
                )
        keys = tuple(index_of("direction", key, names) for key in self.columns)
        check_once("direction", keys, len(names))
        known = Direction(dict(zip(keys, self.columns.values(), strict=True)))
        known.ways = self.ways
        return known

    def resolve(self, shape: Shape) -> Tensor:
        """-1, 0 and +1 that broadcast to one input of ``shape``.

        Raises:
            UserError: it does not fit the shape.
        """
        if self.ways is not None:
            return check_one_input("direction", self.ways, shape, _DIRECTION)
        ways = torch.zeros(shape, dtype=torch.int64)
        indices = positions("direction", tuple(self.columns), shape)
        for index, way in zip(indices, self.columns.values(), strict=True):
            ways[index] = way
        return ways


def check_one_input(name: str, value: Tensor, shape: Shape, takes: str) -> Tensor:
    """Return ``value`` if it is one number for all, or has the shape of one input.

    Of images, sides of 1 broadcast, as in (c, 1, 1), if there are at least two dimensions.

    Raises:
        UserError: a list of another length above all: broadcast, one entry would speak for all.
    """
    sides = zip(reversed(value.shape), reversed(shape), strict=False)
    single = value.ndim == 1 and tuple(value.shape) != tuple(shape[-1:])
    if value.ndim > len(shape) or any(a not in (1, b) for a, b in sides) or single:
        raise UserError(
            f"{name} of shape {tuple(value.shape)} does not fit one input of shape {shape}: {takes}"
        )
    return value


def _words(value: object) -> tuple[str, ...] | None:
    """Names, if ``value`` is a list or array of nothing else."""
    if isinstance(value, str | bytes | Mapping | torch.Tensor) or not isinstance(value, Iterable):
        return None
    if getattr(value, "ndim", 1) != 1:
        return None
    entries = list(value)
    texts = [isinstance(entry, str) for entry in entries]
    if any(texts) and not all(texts):
        raise UserError(f"{_IMMUTABLE}; not a mixture: {value!r}")
    if not entries or not all(texts):
        return None
    names = tuple(str(entry) for entry in entries)
    if len(set(names)) < len(names):
        raise UserError(f"immutable names a column twice: {_listed(names)}")
    return names


def _mixes_bools(value: object) -> bool:
    if not isinstance(value, list | tuple):
        return False
    flags = [isinstance(entry, bool | np.bool_) for entry in value]
    return any(flags) and not all(flags)


def positions(name: str, columns: Sequence[int | str], shape: Shape) -> list[int]:
    """The places of coordinates of an input of ``shape``, by index.

    Raises:
        UserError: a name, which needs a model with names, or an index beyond the input.
    """
    if columns and len(shape) != 1:
        raise UserError(
            f"{name} gives single coordinates, but an input has shape {shape}; give an array of that shape"
        )
    found = []
    for key in columns:
        index = _as_index(key)
        if index is None:
            raise UserError(
                f"{name} names the column {key!r}, but this model has no column names; certify with a "
                "classifier that was fitted on a DataFrame, or give the column's index"
            )
        if not -shape[0] <= index < shape[0]:
            raise UserError(
                f"{name} names coordinate {index}, but an input has {shape[0]} coordinate"
                f"{'s' if shape[0] != 1 else ''}, 0 to {shape[0] - 1}; a mask needs bools"
            )
        found.append(index % shape[0])
    check_once(name, found, shape[0])
    return found


def indices_of(name: str, key: int | str, names: Sequence[str], blocks: Blocks) -> Sequence[int]:
    """All places that a key means: one, or those of a block; raises as :func:`index_of`."""
    if isinstance(key, str) and key in blocks and key not in names:
        return blocks[key]
    return [index_of(name, key, names, blocks)]


def index_of(name: str, key: int | str, names: Sequence[str], blocks: Blocks = NO_BLOCKS) -> int:
    """The place of a column, by name or index.

    Raises:
        UserError: an unknown name, with the nearest ones.
    """
    # A column may be called "3": the name counts first.
    named = isinstance(key, str) and key in names
    index = list(names).index(str(key)) if named else _as_index(key)
    if index is None:
        near = difflib.get_close_matches(str(key), [*names, *blocks], n=3) or list(names)[:5]
        raise UserError(
            f"{name} names the column {key!r}, which the model does not have; it has "
            f"{', '.join(map(repr, near))}{' ...' if len(names) > len(near) else ''}"
        )
    return index


def _as_index(key: int | str) -> int | None:
    """An index, also as it is typed on a command line; None for a name."""
    if isinstance(key, int):
        return key
    return int(key) if re.fullmatch(r"[+-]?[0-9]{1,9}", key) else None


def check_once(name: str, columns: Iterable[int | str], count: int) -> None:
    """Refuse a coordinate that is named twice.

    Raises:
        UserError: naming it.
    """
    places = [index % count if isinstance(index, int) and count else index for index in columns]
    if len(set(places)) < len(places):
        twice = next(place for place in places if places.count(place) > 1)
        raise UserError(f"{name} names coordinate {twice} twice; give it once")


def _is_one_of(value: Any, allowed: tuple[int, ...]) -> bool:
    try:
        return whole_number("", value) in allowed
    except UserError:
        return False


def _listed(values: Sequence[object], most: int = 8) -> str:
    """A list as it is typed, shortened: a wide table's mask would fill the screen."""
    shown = ", ".join(map(repr, values[:most]))
    return f"[{shown}{', ...' if len(values) > most else ''}]"
