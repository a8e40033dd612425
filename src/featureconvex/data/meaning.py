"""What the numbers of an input mean to a model: decided here, from what it was trained on.

A model file carries its :class:`Meaning`. New inputs are brought to the same units, or refused with
the remedy; nothing is scaled by a guess.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from featureconvex.data.dataset import Kind, LabelledData
from featureconvex.data.files.byte_counts import BYTE_NAMES
from featureconvex.data.files.byte_plot import BytePlot
from featureconvex.data.files.representation import Representation, representation
from featureconvex.data.files.samples import FileKind, check_white
from featureconvex.data.schema.form import TableForm, said_otherwise
from featureconvex.data.tables.cells import numbers_of
from featureconvex.data.tables.columns import Column, columns_of_names, feature_blocks
from featureconvex.data.tables.encoding import Encoded, encode, encode_rows
from featureconvex.data.tables.frame import as_pandas, check_unique
from featureconvex.data.tables.whole_numbers import fractions
from featureconvex.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

Pixels = Literal["uint8", "float"]
FAR = 3.0
"""No perturbation worth certifying takes a pixel of [0, 1] so far: the unit is another one."""


@dataclass(frozen=True)
class Meaning:
    """What a model was trained on.

    Attributes:
        kind: ``"image"`` (pixels in [0, 1]), ``"table"`` (the file's own units), or None where the
            model file does not say.
        shape: of one input, where it is known.
        columns: of a table, where they are known.
        names: the features of a table, where no more than these is known.
        files: the kind of files that held one example each, or None.
        form: how the training table was written, where that was said.
        counts: what of other files was counted, where that was said; their bytes where not.
        pixels: images were ``"uint8"`` (divided by 255) or ``"float"`` in [0, 1].
    """

    kind: Kind | None = None
    shape: tuple[int, ...] | None = None
    columns: tuple[Column, ...] | None = None
    names: tuple[str, ...] | None = None
    files: FileKind | None = None
    pixels: Pixels | None = None
    form: TableForm | None = None
    counts: Representation | None = None

    @staticmethod
    def of(dataset: LabelledData) -> "Meaning":
        """Of a data set that a model is trained on."""
        names = None if dataset.feature_names is None else tuple(dataset.feature_names)
        pixels: Pixels = "uint8" if dataset.train.x.dtype == np.uint8 else "float"
        return Meaning(
            dataset.kind,
            tuple(dataset.train.x.shape[1:]),
            dataset.columns,
            names,
            dataset.files,
            pixels if dataset.kind == "image" else None,
            dataset.form,
            dataset.counts,
        )

    def stored(self) -> dict[str, Any]:
        """Plain JSON values for a model file; shape and feature names are stored beside them."""
        columns = None if self.columns is None else [column.stored() for column in self.columns]
        form = None if self.form is None else self.form.stored()
        return {
            "kind": self.kind,
            "columns": columns,
            "files": self.files,
            "pixels": self.pixels,
            "form": form,
            "counts": None if self.counts is None else self.counts.name,
            "most_bytes": None if self.counts is None else self.counts.most,
        }

    @staticmethod
    def from_extra(extra: Mapping[str, Any]) -> "Meaning":
        """Of a model file, from its ``extra``; an older file says less.

        Raises:
            UserError: the entry is damaged.
        """
        estimator = extra.get("estimator") or {}
        names = extra.get("feature_names") or estimator.get("feature_names") or None
        shape = extra.get("input_shape")
        if shape is None and estimator:
            shape = [estimator["n_features"]]
        known = Meaning(
            shape=None if shape is None else tuple(shape),
            names=None if names is None else tuple(names),
        )
        stored = extra.get("inputs")
        if stored is None:
            return known._of_an_older_file(bool(estimator))
        try:
            columns = stored["columns"]
            return Meaning(
                cast("Kind", stored["kind"]),
                known.shape,
                None if columns is None else tuple(map(Column.from_stored, columns)),
                known.names,
                stored["files"],
                stored["pixels"],
                None if stored.get("form") is None else TableForm.from_stored(stored["form"]),
                _counts_of(stored),
            )
        except (KeyError, TypeError) as error:
            raise UserError(
                f"the model's description of its inputs is damaged: {error!r}"
            ) from error

    def _of_an_older_file(self, estimator: bool) -> "Meaning":
        if estimator and self.names is not None:
            columns = tuple(Column(name, "unstated") for name in self.names)
            return Meaning("table", self.shape, columns, self.names)
        if estimator or self.names is not None:
            bytes_counted = self.names is not None and self.names == tuple(BYTE_NAMES)
            files: FileKind | None = "other files" if bytes_counted else None
            return Meaning("table", self.shape, None, self.names, files)
        if self.shape is not None and len(self.shape) == 3:
            # The only unit that images had in training when files did not say.
            return Meaning("image", self.shape, pixels="uint8")
        return self

    def numbers(self, x: NDArray[Any], origin: str, pictures: bool = False) -> NDArray[Any]:
        """Inputs (n, ...) in the units of training: float32 pixels in [0, 1], or float64 columns.

        Args:
            x: as a file holds them.
            origin: the file, for messages.
            pictures: decoded from picture files, where 255 is white whatever the model saw.

        Raises:
            UserError: another shape, no real numbers, or numbers without a known unit.
        """
        self._check_shape(x, origin)
        if x.dtype.kind not in "buif":
            raise UserError(
                f"{origin} holds values of type {x.dtype}; save real numbers, one row per input"
            )
        if self.kind == "table":
            return self._encoded(x.astype(np.float64), origin)
        if self.kind is None:
            if x.dtype.kind != "f":
                raise UserError(
                    f"{origin} holds whole numbers ({x.dtype}), and the model does not say what it was "
                    "trained on; save the inputs as floats in the units of training, such as "
                    "x.astype(float), or x.astype(float) / 255 if that is how pixels were scaled"
                )
            return x.astype(np.float32 if x.dtype.itemsize <= 4 else np.float64)
        return self._pixels(x, origin, pictures)

    def written(self, said: Mapping[str, Any]) -> "Meaning":
        """The same for CSV tables that are written otherwise: fields of :class:`TableForm`."""
        return replace(self, form=said_otherwise(self.form, **said))

    @property
    def plotted(self) -> bool:
        """Whether rows are plots of files."""
        return isinstance(self.counts, BytePlot)

    @property
    def blocks(self) -> dict[str, range]:
        """Where the features of each one-hot encoded column are."""
        return feature_blocks(self.columns or ())

    def rows(self, x: Any) -> Any:
        """What is given in Python, ready for the model: the columns of a frame are found by name.

        Arrays and tensors stay as they are. Points of an attack may lie outside [0, 1], so of images only
        values far from it are refused.

        Raises:
            UserError: a frame without the model's columns, one that is not there yet, or images in another
                unit.
        """
        x = as_pandas(x)
        if hasattr(x, "columns") and hasattr(x, "iloc"):
            check_unique(x.columns, "x")
            return self.table(x, "x").x
        if self.kind != "image" or not hasattr(x, "dtype"):
            return x
        unit = "the model takes pixels in [0, 1]; give x / 255 if 255 is white"
        if not str(x.dtype).removeprefix("torch.").startswith("float"):
            raise UserError(f"x holds images of type {x.dtype}, and {unit}")
        if 0 not in x.shape and x.max() > FAR:
            raise UserError(f"x holds images with values up to {float(x.max()):g}, and {unit}")
        return x

    def table(self, frame: "pd.DataFrame", origin: str, strict: bool = True) -> Encoded:
        """The features of a frame, found by the names of its columns.

        Args:
            frame: the rows.
            origin: where they come from, for messages.
            strict: refuse a cell that cannot be read; else it costs its own row only.

        Raises:
            UserError: a model of images, or one that knows no names and is given words; a missing column.
        """
        columns = self.columns
        if columns is None and self.names is not None:
            columns = columns_of_names(self.names, map(str, frame.columns))
        if columns is not None:
            return (encode if strict else encode_rows)(frame, columns, origin)
        if self.kind == "image":
            raise UserError(f"{origin} is a table, the model was trained on images; give images")
        # The model knows no names: numbers in the order of the file, and nothing is encoded by a guess.
        values = [
            numbers_of(frame[c], "unstated", f"{origin}, column {str(c)!r}") for c in frame.columns
        ]
        nothing = np.zeros(len(frame), dtype=bool)
        return Encoded(np.column_stack(values), nothing, (), nothing)

    def _encoded(self, x: NDArray[np.float64], origin: str) -> NDArray[np.float64]:
        """Rows (n, d) whose features are as training made them from its columns; gaps are NaN.

        Raises:
            UserError: a truth value that is neither 0 nor 1, or a category that is not a single 1.
        """
        end = 0
        for column in self.columns or ():
            start, end = end, end + column.width
            block = x[:, start:end]
            if column.whole and (parts := fractions(block[:, 0])).any():
                row = int(parts.argmax())
                raise UserError(
                    f"{origin}, row {row}: the column {column.name!r} takes whole numbers, got "
                    f"{block[row, 0]:g}"
                )
            if column.kind not in ("boolean", "category"):
                continue
            bits = np.isin(block, (0.0, 1.0)).all(axis=1)
            single = column.kind == "boolean" or (block == 1).sum(axis=1) == 1
            odd = ~(bits & single) & ~np.isnan(block).any(axis=1)
            if odd.any():
                row = int(odd.argmax())
                shown = ", ".join(f"{value:g}" for value in block[row])
                wanted = "0 or 1 (false or true)"
                if column.kind == "category":
                    wanted = f"one 1 and else 0, for {', '.join(column.categories)}"
                raise UserError(
                    f"{origin}, row {row}: the column {column.name!r} takes {wanted}, got {shown}; encode "
                    "it as in training, or give the table itself, with the names of its columns"
                )
        return x

    def _pixels(self, x: NDArray[Any], origin: str, pictures: bool) -> NDArray[Any]:
        """Images as float32 in [0, 1]."""
        if x.dtype == np.uint8 and (pictures or self.pixels == "uint8"):
            if not pictures:
                check_white(x, origin)
            scaled: NDArray[Any] = x.astype(np.float32) / np.float32(255)
            return scaled
        trained = {
            "uint8": "pixels from 0 to 255 as uint8 (divided by 255), or floats in [0, 1]",
            "float": "floats in [0, 1]",
        }[self.pixels or "float"]
        if x.dtype.kind != "f":
            remedy = "scale them as the training images were, to floats in [0, 1]"
            if self.pixels == "uint8":
                remedy = "if they are pixels from 0 to 255, save x.astype(numpy.uint8)"
            raise UserError(
                f"{origin} holds images of type {x.dtype}; the model takes {trained}: {remedy}"
            )
        outside = (x < 0) | (x > 1)
        if outside.any():
            remedy = "if 255 is white, save x.astype(numpy.uint8), or x / 255"
            raise UserError(
                f"{origin} holds images of type {x.dtype} from {np.nanmin(x):g} to {np.nanmax(x):g}; the "
                f"model takes {trained}: {remedy}"
            )
        return x.astype(np.float32)

    def _check_shape(self, x: NDArray[Any], origin: str) -> None:
        """What a row should look like, what it looks like, and how the one becomes the other."""
        got, one, expected = x.shape, x.shape[1:], self.shape
        if expected is None or one == expected:
            return
        remedy = "give inputs of the kind the model was trained on"
        if got == expected:
            remedy = "for one input add a first axis, x[None]"
        elif len(expected) == 3 and expected[0] == 1 and one == expected[1:]:
            remedy = "add the channel axis, x[:, None]"
        elif len(expected) == 3 and one == (*expected[1:], expected[0]):
            remedy = "move the channels to the front, x.transpose(0, 3, 1, 2)"
        elif one == (math.prod(expected),):
            remedy = f"unflatten the rows, x.reshape(-1, {', '.join(map(str, expected))})"
        wanted = ", ".join(map(str, ("n", *expected)))
        raise UserError(f"{origin}: expected inputs of shape ({wanted}), got {got}; {remedy}")


def _counts_of(stored: Mapping[str, Any]) -> Representation | None:
    name = stored.get("counts")
    return None if name is None else representation(name, stored.get("most_bytes"))
