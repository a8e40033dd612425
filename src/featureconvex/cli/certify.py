"""``featureconvex certify``: certificates for inputs of your own."""

from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from featureconvex.cli.options import (
    AsJson,
    Quiet,
    column_range,
    columns,
)
from featureconvex.cli.tables import (
    Decimal,
    EmptyWords,
    Encoding,
    Keep,
    Separator,
    written,
)
from featureconvex.errors import UserError
from featureconvex.feedback import feedback

if TYPE_CHECKING:
    from featureconvex.certificates import Box, Level, Threat

# Threats that ask the model for its schema or its way with files.
OF_THE_MODEL = ("edits", "append", "insert", "change", "slack")


def certify(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A run's folder, its model/, or a saved model.")
    ],
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT...",
            help="Tables (.csv, .csv.gz, .parquet, .pq, a folder of them; - for CSV on standard input), "
            "arrays (.npy, .npz), images, or folders of files as in training.",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", help="The rows, .csv or .parquet; - for standard output.")
    ],
    norm: Annotated[
        list[str] | None,
        typer.Option(help="A norm, 1, 2, inf or any p >= 1; repeatable (default: 2)."),
    ] = None,
    threat: Annotated[
        list[str] | None,
        typer.Option(
            help="Another threat, repeatable: edits (the prices of the model's schema); append, insert or "
            "change (so many bytes of files; append:K for K or 0); l0 (changed coordinates) or patch:SIZE "
            "(a window), with --box, or in the ranges of your schema."
        ),
    ] = None,
    box: Annotated[
        tuple[float, float] | None,
        typer.Option(metavar="LO HI", help="Hold the attacker to this range in every coordinate."),
    ] = None,
    ranges: Annotated[
        list[str] | None,
        typer.Option(
            "--range",
            metavar="COLUMN=LO:HI",
            help="Hold the attacker to this range in one column of numbers; repeatable.",
        ),
    ] = None,
    training_range: Annotated[
        bool,
        typer.Option(
            "--training-range",
            help="Hold the attacker to the range that every column had in training.",
        ),
    ] = False,
    immutable: Annotated[
        str | None,
        typer.Option(
            help="Columns that cannot change: names or indices, separated by commas; a name with a comma "
            "is quoted as in a CSV file. A one-hot encoded column is all of its features."
        ),
    ] = None,
    increase_only: Annotated[
        str | None, typer.Option(help="Columns that may only grow, likewise.")
    ] = None,
    decrease_only: Annotated[
        str | None, typer.Option(help="Columns that may only shrink, likewise.")
    ] = None,
    level: Annotated[
        str | None,
        typer.Option(
            help="closed-form (the paper's), domain (knows the box and the columns), tight (optimised), "
            "or sound (holds against rounding too). Default: domain where the attacker is held to "
            "something, else closed-form."
        ),
    ] = None,
    iterations: Annotated[
        int | None,
        typer.Option(
            help="Rounds of level tight (default: 20); more where columns differ much in scale.",
            min=1,
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(
            "--base",
            "--rests-on",
            help="The level that level sound proves again: closed-form, domain (default) or tight.",
        ),
    ] = None,
    keep: Keep = None,
    cost: Annotated[
        str | None,
        typer.Option(
            help="Of one unit of a column, for norms: std (1 per training standard deviation) or schema."
        ),
    ] = None,
    slack: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="Places in files that the attacker may fill with any bytes: columns file (as rows name "
            "it), offset and length. The radius is all of a file's slack, or 0.",
        ),
    ] = None,
    sep: Separator = None,
    decimal: Decimal = None,
    encoding: Encoding = None,
    na: EmptyWords = None,
    jobs: Annotated[int, typer.Option(help="Processes that work at a time.", min=1)] = 1,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Certify your own inputs with a trained model, one row each, in bounded memory.

    Rows are kept in OUT.parts as they come; a job that was killed continues when the same command is given
    again. An input row or file that cannot be read is a row with status unreadable.
    """
    from featureconvex.data.inputs.beginning import (
        check_beginning,
        check_places,
        described_inputs,
        model_folder,
    )

    # What can be wrong with a command line, before torch is loaded.
    kept = tuple(keep or ())
    spans = dict(map(column_range, ranges or ()))
    form = written(sep, decimal, encoding, na)
    check_places(inputs, out)
    meaning = described_inputs(model_folder(model))
    if meaning is not None:
        check_beginning(inputs, meaning.written(form), kept)
    from featureconvex.experiment import certify_files

    domain = domain_of(box, immutable, increase_only, decrease_only)
    held = domain is not None or bool(ranges) or training_range
    threats = threats_of([*(norm or []), *(threat or [])])
    chosen = level_of(level, base, iterations, held)
    with feedback(quiet, as_json) as say:
        summary = certify_files(
            model,
            inputs,
            out,
            threats,
            domain,
            chosen,
            kept,
            progress=True,
            cost=cost,
            jobs=jobs,
            slack=slack,
            ranges=spans,
            training_range=training_range,
            form=form,
        )
        # Standard output may hold the rows.
        aside = str(out) == "-"
        places = [] if aside and quiet else [f"rows: {out} ({summary.rows})"]
        say(lambda: summary.lines, places, lambda: {"rows_file": str(out), **summary.values}, aside)


def threats_of(names: list[str]) -> "list[Threat | str] | None":
    """Norms and threats by name; those that need the model's schema or files stay texts, None: none named.

    Raises:
        UserError: an unknown one.
    """
    from featureconvex.certificates import parse_threat

    try:
        found = [
            name if name.partition(":")[0] in OF_THE_MODEL else parse_threat(name) for name in names
        ]
    except UserError as error:
        raise UserError(f"{error}; or edits, and of files append, insert, change (:K)") from error
    return found or None


def domain_of(
    box: tuple[float, float] | None,
    immutable: str | None,
    increase_only: str | None,
    decrease_only: str | None,
) -> "Box | None":
    """Where the attacker is held, or None where nothing says so.

    Raises:
        UserError: a column that may only grow and may only shrink.
    """
    from featureconvex.certificates import Box

    growing, shrinking = columns(increase_only), columns(decrease_only)
    if twice := set(growing) & set(shrinking):
        raise UserError(
            f"{twice.pop()!r} is in --increase-only and in --decrease-only; a column that may do neither "
            "is --immutable"
        )
    ways = {**dict.fromkeys(growing, 1), **dict.fromkeys(shrinking, -1)}
    if box is None and immutable is None and not ways:
        return None
    return Box(*(box or (-inf, inf)), columns(immutable) or None, ways or None)


def level_of(
    level: str | None, base: str | None, iterations: int | None, held: bool
) -> "Level | None":
    """The level asked for; None where no option is about it.

    Raises:
        UserError: an unknown one, options of another one, or one blind to where the attacker is held.
    """
    from featureconvex.certificates.levels import parse_level

    if level == "closed-form" and held:
        raise UserError(
            "level closed-form is blind to --box, --range, --training-range, --immutable, --increase-only "
            "and --decrease-only, its radius holds everywhere; use --level domain, or leave them out"
        )
    if base is not None and level != "sound":
        raise UserError(
            f"--base is an option of level sound; add --level sound{_in_place_of(level)}, or leave it out"
        )
    if iterations is not None and level != "tight" and (level, base) != ("sound", "tight"):
        raise UserError(
            "--iterations is an option of level tight, also below level sound; add --level tight, or "
            f"--level sound --base tight{_in_place_of(level)}, or leave it out"
        )
    return None if level is None else parse_level(level, base=base, iterations=iterations)


def _in_place_of(level: str | None) -> str:
    return "" if level in (None, "sound") else f" in place of {level}"
