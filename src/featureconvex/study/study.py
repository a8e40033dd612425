"""A study: cells of plain values, the work of one cell, and what all of them together say."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

Settings = dict[str, Any]
"""What decides a cell's result: plain values that JSON keeps."""
Row = dict[str, Any]
"""What a cell found, and its settings: plain values."""


def nothing_further(_: dict[str, Any]) -> dict[str, bytes]:
    """No other files."""
    return {}


@dataclass(frozen=True)
class Study:
    """One experiment.

    Attributes:
        name: what the user types.
        cells: ``cells(quick, seed)``: the settings of every cell, in order; ``quick`` asks for a grid of
            seconds on data that an installed dependency ships.
        work: ``work(settings, data_dir)``: what one cell finds; it depends on nothing else.
        summary: ``summary(rows)``: what ``NAME.json`` holds, from the rows of all cells in order.
        figure: ``figure(summary)``: drawn from that alone.
        further: ``further(summary)``: other files to write, by their names below the folder.
        version: higher when a cell of equal settings would now find something else.
    """

    name: str
    cells: Callable[[bool, int], Sequence[Settings]]
    work: Callable[[Settings, Path | None], Row]
    summary: Callable[[Sequence[Row]], dict[str, Any]]
    figure: Callable[[dict[str, Any]], Figure]
    further: Callable[[dict[str, Any]], dict[str, bytes]] = nothing_further
    version: int = 1
