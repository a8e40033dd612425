"""What a user sees while a model trains."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Ticker(Protocol):
    """Called after each batch with the number done since the last call, and words for the bar."""

    def __call__(self, advance: int, words: str) -> None:
        """Move the bar on."""


def silent(advance: int, words: str) -> None:
    """A ticker that shows nothing."""


@contextmanager
def progress_bar(title: str, total: int | None, enabled: bool = True) -> Iterator[Ticker]:
    """A bar with words of the worker's own, on standard error; a total of None is not known yet."""
    if not enabled:
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
