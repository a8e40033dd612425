"""``featureconvex inspect``: a first look at data, and a schema."""

from pathlib import Path
from typing import Annotated

import typer

from featureconvex.cli.options import (
    AsJson,
    Quiet,
    Sensitive,
)
from featureconvex.cli.tables import (
    Decimal,
    EmptyWords,
    Encoding,
    Label,
    Separator,
    written,
)
from featureconvex.errors import UserError
from featureconvex.feedback import feedback


def inspect(
    data: Annotated[
        Path, typer.Argument(metavar="DATA", help="A CSV or Parquet file, or a folder of classes.")
    ],
    label: Label = None,
    sensitive: Sensitive = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write a schema to edit, for `run --schema`."),
    ] = None,
    sep: Separator = None,
    decimal: Decimal = None,
    encoding: Encoding = None,
    na: EmptyWords = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Look at your data: type, gaps, values and a guess of the role of every column; and write a schema.

    With --label it says what to expect before you train: which class suits being the sensitive one.
    """
    from featureconvex.data.inspection import (
        class_lines,
        inspect_folder,
        inspect_table,
        look_lines,
        look_values,
    )
    from featureconvex.files import writable_folder, write_text

    if out is not None and data.is_dir():
        raise UserError(f"--out is for the schema of a table, and {data} is a folder; leave it out")
    if quiet and not as_json and out is None:
        raise UserError("inspect --quiet has nothing to say without --out, a schema to write")
    if out is not None:
        if out.is_dir():
            raise UserError(f"--out is the name of a schema, such as {out / 'schema.toml'}")
        writable_folder(out.parent)
    with feedback(quiet, as_json) as say:
        if data.is_dir():
            found = inspect_folder(data)
            say(lambda: class_lines(found), [], lambda: {"classes": found})
            return
        form = written(sep, decimal, encoding, na)
        look, text = inspect_table(data, label, sensitive, **form)
        if out is not None and out.exists() and out.read_bytes() != text.encode():
            raise UserError(
                f"{out} is there already and says something else, perhaps your edits; choose another "
                "--out, or delete it"
            )
        expected: list[str] = []
        if label is not None and (as_json or not quiet):
            from featureconvex.theory.separability.expectation import expected_of_table

            expected = expected_of_table(data, text)
        if out is not None:
            write_text(out, text)
        say(
            lambda: [*look_lines(look), *expected],
            [] if out is None else [f"schema: {out}"],
            lambda: {**look_values(look), "expectation": expected, "schema": out and str(out)},
        )
