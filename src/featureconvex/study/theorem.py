"""``featureconvex study theorem``: bounds and simulation over a grid."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from featureconvex.study.study import Row, Settings, Study
from featureconvex.theory.theorem.bounds import bounds
from featureconvex.theory.theorem.figure import theorem_figure
from featureconvex.theory.theorem.simulation import simulate

GRID = {
    (5, 5): (1, 2, 3, 4, 5, 6),
    (20, 20): (1, 2, 4, 6, 8, 10, 12, 16, 20),
    (50, 50): (1, 4, 8, 12, 16, 20, 25, 32, 50),
    (5, 50): (1, 2, 4, 8, 12, 16, 20, 25, 50),
    (50, 5): (1, 2, 3, 4, 5, 6),
    (200, 100): (4, 10, 16, 22, 28, 36, 50, 100),
}
QUICK = {(2, 3): (1, 2, 3), (5, 5): (1, 2, 4)}
TRIALS, QUICK_TRIALS = 400, 40


def cells(quick: bool, seed: int) -> list[Settings]:
    """One cell for each triple."""
    grid, trials = (QUICK, QUICK_TRIALS) if quick else (GRID, TRIALS)
    return [
        {"M": m, "N": n, "d": d, "trials": trials, "seed": seed}
        for (m, n), dimensions in grid.items()
        for d in dimensions
    ]


def work(settings: Settings, _: Path | None) -> Row:
    """The bounds, and the simulation with its interval."""
    m, n, d = (settings[name] for name in ("M", "N", "d"))
    found, seen = bounds(m, n, d), simulate(m, n, d, settings["trials"], settings["seed"])
    return {
        **{"paper": found.paper, "sharper": found.sharper},
        **{"estimate": seen.share, "low": seen.low, "high": seen.high},
        **{"block": found.block, "box": found.box, "box_exact": found.box_exact},
        **{"wendel": found.wendel, "trials": seen.trials},
    }


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """``points``: one entry per triple."""
    measured = ("paper", "sharper", "estimate", "low", "high", "block", "box", "box_exact")
    return {
        "points": [
            {
                **{name: row["settings"][name] for name in ("M", "N", "d")},
                **{name: row[name] for name in (*measured, "wendel", "trials")},
            }
            for row in rows
        ]
    }


def figure(result: dict[str, Any]) -> Figure:
    """One panel per (M, N)."""
    return theorem_figure(result["points"])


STUDY = Study("theorem", cells, work, summary, figure)
