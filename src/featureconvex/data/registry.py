"""The way from what a user typed to a task."""

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from featureconvex.data.classes.question import EachItsOwn, Sensitive
from featureconvex.data.files.contents import shown
from featureconvex.data.named_tasks.catalogue import EVERY_CLASS, PAIRS, TASKS
from featureconvex.data.tables.frame import is_table
from featureconvex.data.tables.table import Missing
from featureconvex.data.task import ClassTask, Task
from featureconvex.data.user_data import UserData, words_of
from featureconvex.errors import UserError

# The other side of a family of pairs: all labels that are not on the sensitive one.
REST = "rest"


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
    """The task with a sensitive class that a user means: a name, or the path of a table or folder.

    A name wins over a path; write ``./malimg`` for a folder of that name.

    Args:
        name_or_path: e.g. ``mnist-3-8``, ``mails.csv``, ``pictures/``.
        label: the label column of a table.
        sensitive: the sensitive class of the user's own data.
        keep, missing, schema, counts, most_bytes, form: as in
            :class:`~featureconvex.data.user_data.UserData`.

    Raises:
        UserError: an unknown name (with the nearest ones), a path that does not exist or is of no
            known kind, or an option where it has no meaning.
    """
    task = _named(name_or_path)
    said = UserData(label, keep, missing, schema, counts, most_bytes, form)
    said.check(name_or_path, task is not None)
    if task is not None:
        if label is not None or sensitive not in (None, task.sensitive):
            raise UserError(
                f"{task.name} has its own labels with {task.sensitive!r} as the sensitive class; "
                "--label and --sensitive are for a file or folder of yours"
            )
        return task
    path = Path(name_or_path).expanduser()
    said, read, sensitive = said.described(sensitive)
    wanted = None if sensitive is None else shown(sensitive) if path.is_dir() else sensitive
    reader = said.reader(path, Sensitive(wanted), read)
    if reader is None:
        raise _nothing_there(path, name_or_path)
    chosen = sensitive or "1 or True, else named with --sensitive"
    return Task(sensitive=chosen, reader=reader, **words_of(reader))


def find_class_task(
    name_or_path: str,
    label: str | None = None,
    keep: tuple[str, ...] = (),
    missing: Missing = "refuse",
    schema: Path | None = None,
    counts: str | None = None,
    most_bytes: int | None = None,
    form: Mapping[str, Any] | None = None,
) -> ClassTask:
    """The task of several classes, each its own, that a user means; arguments as for :func:`find_task`.

    Raises:
        UserError: as there; a named task or a schema with a sensitive class.
    """
    task = next((t for t in EVERY_CLASS if names_every_class(name_or_path) == t.name), None)
    said = UserData(label, keep, missing, schema, counts, most_bytes, form)
    known = ", ".join(t.name for t in EVERY_CLASS)
    binary = _named(name_or_path)
    said.check(name_or_path, task is not None or binary is not None)
    if task is not None:
        if label is not None:
            raise UserError(f"{task.name} has its own labels; --label is for a table of yours")
        return task
    if binary is not None:
        raise UserError(
            f"{binary.name} has one sensitive class, {binary.sensitive!r}; leave --multi-class own out, or "
            f"name data of your own or a task of all classes: {known}"
        )
    path = Path(name_or_path).expanduser()
    said, read, sensitive = said.described(None)
    if sensitive is not None:
        raise UserError(
            f"{schema} names the sensitive class {sensitive!r}, and with --multi-class own each class is "
            "to stay what it is; take the line `sensitive` out of it, or leave --multi-class own out"
        )
    reader = said.reader(path, EachItsOwn(), read)
    if reader is None:
        raise _nothing_there(path, name_or_path)
    return ClassTask(reader=reader, **words_of(reader))


def names_every_class(name_or_path: str) -> str | None:
    """The name of a task of all classes; None where it is something else, such as a folder so called.

    >>> names_every_class("digits"), names_every_class("digits-3-8")
    ('digits', None)
    """
    known = any(task.name == name_or_path for task in EVERY_CLASS)
    return name_or_path if known and not Path(name_or_path).exists() else None


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


def _nothing_there(path: Path, text: str) -> UserError:
    """Why a text is no task and no path of one."""
    if is_table(path) or len(path.parts) > 1:
        return UserError(f"there is no file or folder {path}; check the path")
    if family := _family(text):
        every = f"; all ten, each its own, are `featureconvex run {family} --multi-class own`"
        return UserError(
            f"there is no task {text!r} with a sensitive class: the family {family} compares two different "
            f"labels from 0 to 9, written {family}-A-B, such as {family}-3-8, or sets of them, such as "
            f"{family}-3+5-{REST}" + every
        )
    near = difflib.get_close_matches(text, _all_names(), n=3, cutoff=0.6)
    hint = f"did you mean {', '.join(near)}?" if near else "run `featureconvex tasks` for the list"
    return UserError(
        f"there is no task or path {text!r}; {hint}; for data of your own give the path of a table, with "
        "--label, or of a folder"
    )


def _family(text: str) -> str | None:
    """The family of pairs that a name starts with, the longest that fits."""
    fitting = [name for name in PAIRS if re.fullmatch(rf"{name}(-[0-9+]*)*(-[A-Z])*(-rest)?", text)]
    return max(fitting, key=len, default=None)


def _all_names() -> list[str]:
    pairs = [(a, b) for a in range(10) for b in range(10) if a != b]
    named = [task.name for task in TASKS] + [task.name for task in EVERY_CLASS]
    return named + [f"{family}-{a}-{b}" for family in PAIRS for a, b in pairs]
