"""How a table of the user's own is read: options that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

if TYPE_CHECKING:
    from featureconvex.data import ClassTask, Task

Label = Annotated[str | None, typer.Option(help="The label column of a table of your own.")]
Keep = Annotated[
    list[str] | None,
    typer.Option(help="A column of the table to copy beside the rows, such as an id; repeatable."),
]
Missing = Annotated[
    Literal["refuse", "drop"],
    typer.Option(help="Rows of your table with a gap: refuse the file, or drop the rows."),
]
SchemaFile = Annotated[
    Path | None,
    typer.Option(
        "--schema", help="What the columns of your table are, from `featureconvex inspect`."
    ),
]
Separator = Annotated[
    str | None,
    typer.Option(
        "--sep",
        help="Between the columns of a CSV table, tab for a tab (default: inspect finds it out, else what "
        "schema or model say, else commas).",
    ),
]
Decimal = Annotated[
    str | None, typer.Option("--decimal", help="Its decimal mark, . or , (likewise).")
]
Encoding = Annotated[str | None, typer.Option("--encoding", help="Of its text (likewise: UTF-8).")]
EmptyWords = Annotated[
    list[str] | None,
    typer.Option("--na", help="A word in it for an empty cell; repeatable (likewise: none)."),
]

Asked = TypeVar("Asked", "Task", "ClassTask")


def written(
    sep: str | None, decimal: str | None, encoding: str | None, na: list[str] | None
) -> dict[str, str | tuple[str, ...] | None]:
    """How a table is written, as far as options say."""
    words = tuple(na) if na else None
    sep = "\t" if sep in ("tab", r"\t") else sep
    return {"separator": sep, "decimal": decimal, "encoding": encoding, "missing": words}


def read_first(task: Asked, data_dir: Path | None, out: Path | None = None) -> Asked:
    """The task, a table with its data read: what is wrong with one is said before torch is loaded.

    Args:
        task: as it was found.
        data_dir: where the data sets are.
        out: a folder that is to be written to: whether it can be is found out before a long file is read;
            None: later.
    """
    from featureconvex.data.tables.table import TableReader
    from featureconvex.files import writable_folder

    if not isinstance(task.reader, TableReader):
        return task
    if out is not None:
        writable_folder(out)
    return task.read(data_dir)
