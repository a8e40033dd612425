"""Options that several commands share, and how their texts are read."""

from pathlib import Path
from typing import Annotated

import typer

from featureconvex.errors import UserError

TaskName = Annotated[
    str,
    typer.Argument(
        metavar="TASK",
        help="A name from `featureconvex tasks`, a CSV or Parquet file (- for CSV on standard input), "
        "or a folder with one sub-folder of images or files per class.",
    ),
]
Out = Annotated[Path, typer.Option("--out", help="Folder for everything that is written.")]
DataDir = Annotated[
    Path | None,
    typer.Option(
        help="Folder with the data sets (default: FEATURECONVEX_DATA, else a cache folder)."
    ),
]
Norm = Annotated[str, typer.Option(help="The norm whose certified radius is trained: 1, 2 or inf.")]
Sensitive = Annotated[
    str | None,
    typer.Option(
        help="The class an attacker wants to leave, in data of your own; several as 'A|B': the certificate "
        "is about staying among them."
    ),
]
MULTI_CLASS = ("auto", "set", "own")
MultiClass = Annotated[
    str,
    typer.Option(
        help="own: each class is to stay what it is, and every row gets a certificate against every other "
        "class. set: one class or a set, as --sensitive names it, against the rest. auto: own for a named "
        "task of all classes (such as digits), else set."
    ),
]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
# Those of featureconvex.training.recipes, which loads torch.
RECIPE_NAMES = ("default", "fixed", "paper")
RecipeName = Annotated[
    str,
    typer.Option(
        help="default learns a nonexpansive feature map with the convex network, and trains the radius of "
        "one class; fixed learns no map and trains both classes alike; paper follows arXiv 2302.01961."
    ),
]
Epochs = Annotated[int | None, typer.Option(help="Training epochs (default: the recipe's).")]
Quiet = Annotated[
    bool, typer.Option("--quiet", help="Say nothing but errors and where the result is.")
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print the result as JSON in place of sentences.")
]
TargetFpr = Annotated[
    float | None,
    typer.Option(help="Calibrate for this false-positive rate instead of balancing the classes."),
]


def numbers(text: str, option: str) -> list[float]:
    """Numbers separated by commas."""
    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise UserError(f"{option} takes numbers separated by commas, got {text!r}") from error


def column_range(text: str) -> tuple[str, tuple[float, float]]:
    """``COLUMN=LO:HI``; the name may have an equals sign itself."""
    name, _, ends = text.rpartition("=")
    low, _, high = ends.partition(":")
    try:
        found = float(low), float(high)
    except ValueError as error:
        raise UserError(f"--range takes COLUMN=LO:HI, such as links=0:50, got {text!r}") from error
    return name, found


def columns(text: str | None) -> list[str]:
    """Columns separated by commas; a name with a comma in it is quoted as in a CSV file."""
    import csv

    try:
        parts = next(csv.reader([text or ""], skipinitialspace=True, strict=True), [])
    except csv.Error as error:
        raise UserError(
            f"cannot read the columns {text}: {error}; separate names by commas, and quote a name with "
            'a comma or a quote in it as in a CSV file: "a,b",c'
        ) from error
    return [part.strip() for part in parts if part.strip()]
