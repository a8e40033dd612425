"""All named tasks, and the way from what a user typed to a task."""

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from textwrap import wrap
from typing import Any

from featureconvex.data.files.contents import shown
from featureconvex.data.files.folder import FolderReader
from featureconvex.data.files.representation import Representation, representation
from featureconvex.data.named_tasks.catalogue import PAIRS, TASKS
from featureconvex.data.schema import read_schema, said_otherwise
from featureconvex.data.tables.frame import STANDARD_INPUT, is_table
from featureconvex.data.tables.table import Missing, TableReader
from featureconvex.data.task import Task
from featureconvex.errors import UserError

# The other side of a family of pairs: all labels that are not on the sensitive one.
REST = "rest"
WIDTH = 96
"""Characters of a line that describes tasks; piped, and in most terminals, no line is cut."""


def list_tasks() -> list[Task]:
    """Every named task, bundled data first; one example stands for each family of pairs.

    >>> [task.name for task in list_tasks()][:3]
    ['mnist-mini-3-8', 'digits-3-8', 'breast-cancer']
    """
    return list(TASKS)


def described_tasks(data_dir: str | os.PathLike[str] | None = None) -> list[dict[str, Any]]:
    """The same as plain values, with where the data was found or how to get it.

    >>> sorted(described_tasks()[0])
    ['data', 'found', 'how', 'name', 'pattern', 'sensitive', 'size', 'where']
    """
    places = [task.locate(data_dir) for task in TASKS]
    return [
        {
            **{"name": task.name, "pattern": task.pattern, "data": task.description},
            **{"sensitive": task.sensitive, "size": task.size},
            **{"found": place.found, "where": place.where, "how": place.how},
        }
        for task, place in zip(TASKS, places, strict=True)
    ]


def task_lines(data_dir: str | os.PathLike[str] | None = None) -> list[str]:
    """A record for each task, as a person reads it, in lines of :data:`WIDTH`."""
    lines: list[str] = []
    for task in described_tasks(data_dir):
        lines += ["", task["name"] + (f" ({task['pattern']})" if task["pattern"] else "")][
            not lines :
        ]
        place = task["where"] if task["found"] else f"not found; {task['how']}"
        for title, text in (
            ("data", task["data"]),
            ("sensitive", task["sensitive"]),
            ("size", task["size"]),
            ("found", place),
        ):
            lines += wrap(
                text,
                WIDTH,
                initial_indent=f"  {title:<10}",
                subsequent_indent=" " * 12,
                # A path or an address stays whole.
                break_long_words=False,
                break_on_hyphens=False,
            )
    return lines


def find_task(
    name_or_path: str,
    label: str | None = None,
    sensitive: str | None = None,
    keep: tuple[str, ...] = (),
    missing: Missing = "refuse",
    schema: Path | None = None,
    counts: str | None = None,
    most_bytes: int | None = None,
    form: Mapping[str, Any] | None = None,
) -> Task:
    """The task a user means: a name, or the path of a table or folder.

    A name wins over a path; write ``./malimg`` for a folder of that name.

    Args:
        name_or_path: e.g. ``mnist-3-8``, ``mails.csv``, ``pictures/``.
        label: the label column of a table.
        sensitive: the sensitive class of the user's own data.
        keep: columns of a table that are no features, kept beside the test rows (an id, say).
        missing: of a table, ``"refuse"`` rows with gaps or ``"drop"`` them.
        schema: a file that says what a table's columns are.
        counts: how the files of a folder are read, such as ``"ngrams:2"``; None goes by their names.
        most_bytes: larger files are left out, and refused by the model; only with ``counts``.
        form: of a table, fields of :class:`~featureconvex.data.schema.TableForm` in place of those of the
            schema; None for those that nobody named.

    Raises:
        UserError: an unknown name (with the nearest ones), a path that does not exist or is of no
            known kind, or an option where it has no meaning.
    """
    task = _named(name_or_path)
    if missing not in ("refuse", "drop"):
        raise UserError(f"--missing is refuse or drop, got {missing!r}")
    own = task is None and (is_table(Path(name_or_path)) and not Path(name_or_path).is_dir())
    said = {name: value for name, value in (form or {}).items() if value is not None}
    if (keep or missing != "refuse" or schema is not None or said) and not own:
        raise UserError(
            "--keep, --missing, --schema, --sep, --decimal, --encoding and --na are for a table of your "
            f"own, not for {name_or_path}"
        )
    if counts is not None and (task is not None or not Path(name_or_path).expanduser().is_dir()):
        raise UserError(f"--bytes is for a folder of files of your own, not for {name_or_path}")
    if most_bytes is not None and counts is None:
        raise UserError(
            "--most-bytes caps the files that --bytes reads; say how, --bytes histogram"
        )
    if task is None:
        read = None if counts is None else representation(counts, most_bytes)
        return _from_path(name_or_path, label, sensitive, keep, missing, schema, read, said)
    if label is not None or sensitive not in (None, task.sensitive):
        raise UserError(
            f"{task.name} has its own labels with {task.sensitive!r} as the sensitive class; "
            "--label and --sensitive are for a file or folder of yours"
        )
    return task


def _named(name: str) -> Task | None:
    labels = r"[0-9](?:\+[0-9])*"
    family = re.fullmatch(rf"({'|'.join(PAIRS)})-({labels})-({labels}|{REST})", name)
    if family is None:
        return next((task for task in TASKS if task.name == name), None)
    first = _labels(family[2])
    rest = tuple(label for label in range(10) if label not in first)
    second = rest if family[3] == REST else _labels(family[3])
    if not second:
        raise UserError(f"{name} names all ten classes, so there is no rest; leave one out")
    if set(first) & set(second):
        raise UserError(f"{name} compares a class with itself; name two different labels")
    sides = [side[0] if len(side) == 1 else side for side in (first, second)]
    return PAIRS[family[1]](*sides)


def _labels(text: str) -> tuple[int, ...]:
    """Of one side of a task's name, in order.

    Raises:
        UserError: one of them twice.
    """
    labels = sorted(int(label) for label in text.split("+"))
    if len(set(labels)) < len(labels):
        raise UserError(f"{text} names a class twice; name each class once")
    return tuple(labels)


def _from_path(
    text: str,
    label: str | None,
    sensitive: str | None,
    keep: tuple[str, ...],
    missing: Missing,
    schema_path: Path | None,
    counts: Representation | None,
    said: Mapping[str, Any],
) -> Task:
    path = Path(text).expanduser()
    schema = None
    if schema_path is not None:
        schema = read_schema(schema_path).with_label(label, sensitive)
        label, sensitive = schema.label, schema.sensitive
        keep = tuple(dict.fromkeys((*keep, *schema.ids)))
    chosen = sensitive or "1 or True, else named with --sensitive"
    if path.is_dir():
        if label is not None:
            raise UserError(
                f"--label names a column; the folder {path} has its classes as sub-folders"
            )
        reader = FolderReader(path, sensitive, counts)
        return Task(
            shown(path.resolve().name),
            f"the folder {shown(path)}",
            chosen,
            "one file per example",
            reader,
        )
    if path.is_file() or path == STANDARD_INPUT:
        if not is_table(path):
            raise UserError(f"{path} is not a .csv or .parquet file; convert it, or give a folder")
        form = said_otherwise(None if schema is None else schema.form, **said)
        if schema is not None and form is not None:
            schema = replace(schema, form=form)
        table = TableReader(path, label, sensitive, keep, missing, schema, form)
        name = "standard-input" if path == STANDARD_INPUT else path.name.split(".")[0]
        return Task(name, f"the table {path}", chosen, "one row per example", table)
    if is_table(path) or len(path.parts) > 1:
        raise UserError(f"there is no file or folder {path}; check the path")
    if family := _family(text):
        raise UserError(
            f"there is no task {text!r}: the family {family} compares two different labels from 0 to 9, "
            f"written {family}-A-B, such as {family}-3-8, or sets of them, such as {family}-3+5-{REST}"
        )
    near = difflib.get_close_matches(text, _all_names(), n=3, cutoff=0.6)
    hint = f"did you mean {', '.join(near)}?" if near else "run `featureconvex tasks` for the list"
    raise UserError(
        f"there is no task or path {text!r}; {hint}; for data of your own give the path of a table, with "
        "--label, or of a folder"
    )


def _family(text: str) -> str | None:
    """The family of pairs that a name starts with, the longest that fits."""
    fitting = [name for name in PAIRS if re.fullmatch(rf"{name}(-[0-9+]*)*(-[A-Z])*(-rest)?", text)]
    return max(fitting, key=len, default=None)


def _all_names() -> list[str]:
    pairs = [(a, b) for a in range(10) for b in range(10) if a != b]
    return [task.name for task in TASKS] + [
        f"{family}-{a}-{b}" for family in PAIRS for a, b in pairs
    ]
