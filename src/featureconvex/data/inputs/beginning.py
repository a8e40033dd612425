"""What is wrong with what `certify` is given, as far as files' beginnings tell: before anything slow."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from featureconvex.data.files.contents import shown
from featureconvex.data.inputs.pieces import expanded, pieces
from featureconvex.data.inputs.read import read_piece
from featureconvex.data.meaning import Meaning
from featureconvex.data.tables.frame import STANDARD_INPUT
from featureconvex.errors import UserError
from featureconvex.files import writable_folder

STANDARD_OUTPUT = Path("-")
_DESCRIPTION = "model.json"


def model_folder(path: Path) -> Path:
    """The folder of a model file, which a run's folder has in it.

    Raises:
        UserError: there is none.
    """
    for folder in (path / "model", path):
        if (folder / _DESCRIPTION).exists():
            return folder
    raise UserError(
        f"no model in {path}: {_DESCRIPTION} cannot be read; name a run's folder, or what save wrote"
    )


def described_inputs(folder: Path) -> Meaning | None:
    """What a model file says about its inputs; None where it is damaged, which loading it will tell."""
    try:
        stored = json.loads((folder / _DESCRIPTION).read_text(encoding="utf-8"))
        return Meaning.from_extra(stored["extra"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def check_places(inputs: Sequence[Path], out: Path) -> None:
    """Refuse a file of rows that cannot be written, and a single input that is not there.

    Raises:
        UserError: either.
    """
    if out.suffix not in (".csv", ".parquet") and out != STANDARD_OUTPUT:
        raise UserError(f"--out takes a .csv or .parquet file, or - for CSV, got {out}")
    if out != STANDARD_OUTPUT:
        if any(out.resolve() == path.resolve() for path in inputs):
            raise UserError(f"--out {out} is the input itself; choose another file")
        writable_folder(out.parent)
    if len(inputs) == 1 and inputs[0] != STANDARD_INPUT and not inputs[0].exists():
        raise UserError(f"there is no file or folder {shown(inputs[0])}; check the path")


def check_beginning(inputs: Sequence[Path], meaning: Meaning, keep: tuple[str, ...]) -> None:
    """Refuse a single input whose first piece cannot be read, or does not fit the model.

    Of several inputs, one that cannot be read costs only itself. Standard input can be read only once.

    Raises:
        UserError: as :func:`~featureconvex.data.inputs.read.read_piece`.
    """
    paths = [file for path in inputs for file in expanded(path, meaning)]
    if len(paths) != 1 or paths[0] == STANDARD_INPUT:
        return
    piece = next(pieces(paths[0], meaning), None)
    if piece is None:
        return
    problem: UserError | None = None
    # Of example files the first that can be read is enough: they may be large.
    for part in [replace(piece, files=(file,)) for file in piece.files] or [piece]:
        try:
            read_piece(part, meaning, keep)
            return
        except UserError as error:
            problem = problem or error
    assert problem is not None
    raise problem
