"""What a user sees while something runs: a bar per stage, a line in a log, or nothing."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_hushed: ContextVar[bool] = ContextVar("hushed", default=False)


class Ticker(Protocol):
    """Called after each batch with the number done since the last call, and words for the bar."""

    def __call__(self, advance: int, words: str) -> None:
        """Move the bar on."""


def silent(advance: int, words: str) -> None:
    """A ticker that shows nothing."""


@contextmanager
def hushed(wanted: bool = True) -> Iterator[None]:
    """No bars, stages and remarks on standard error inside, whatever they are asked for."""
    token = _hushed.set(wanted or _hushed.get())
    try:
        yield
    finally:
        _hushed.reset(token)


def is_hushed() -> bool:
    """Whether nothing but errors and warnings is to be said."""
    return _hushed.get()


def remark(text: str) -> None:
    """One line on standard error, unless hushed."""
    if not is_hushed():
        sys.stderr.write(f"{text}\n")


@contextmanager
def progress_bar(title: str, total: int | None, enabled: bool = True) -> Iterator[Ticker]:
    """A bar with words of the worker's own, on standard error; a total of None is not known yet.

    Where standard error is no terminal the title alone is written, once, as the stage begins.
    """
    if not enabled or is_hushed():
        yield silent
        return
    if not sys.stderr.isatty():
        remark(title)
        sys.stderr.flush()
        yield silent
        return
    from rich.console import Console

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[words]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=total, words="")

        def tick(advance: int, words: str) -> None:
            bar.update(task, advance=advance, words=words)

        yield tick
