"""The named tasks for a reader: as plain values and as lines of text."""

import os
from textwrap import wrap
from typing import Any

from featureconvex.data.named_tasks.catalogue import EVERY_CLASS, TASKS
from featureconvex.data.task import ClassTask, Task

WIDTH = 96
"""Characters of a line that describes tasks; piped, and in most terminals, no line is cut."""
NONE_SENSITIVE = "none: each class is to stay what it is (--multi-class own)"


def list_tasks() -> list[Task]:
    """Every named task with a sensitive class, bundled data first; one stands for each family of pairs.

    >>> [task.name for task in list_tasks()][:3]
    ['mnist-mini-3-8', 'digits-3-8', 'breast-cancer']
    """
    return list(TASKS)


def described_tasks(data_dir: str | os.PathLike[str] | None = None) -> list[dict[str, Any]]:
    """All tasks as plain values, with where the data was found or how to get it.

    >>> sorted(described_tasks()[0])
    ['data', 'found', 'how', 'name', 'pattern', 'sensitive', 'size', 'where']
    """
    every: list[Task | ClassTask] = [*TASKS, *EVERY_CLASS]
    places = [(task, task.locate(data_dir)) for task in every]
    return [
        {
            **{"name": task.name, "pattern": task.pattern, "data": task.description},
            "sensitive": task.sensitive if isinstance(task, Task) else NONE_SENSITIVE,
            **{"size": task.size, "found": place.found, "where": place.where, "how": place.how},
        }
        for task, place in places
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
