"""``featureconvex study theorem``: bounds and simulation over a grid."""

from pathlib import Path
from typing import Any

from featureconvex.files import writable_folder, write_bytes, write_text
from featureconvex.progress import progress_bar
from featureconvex.provenance import provenance
from featureconvex.report.plot_style import png_bytes
from featureconvex.results.strict_json import dump_json
from featureconvex.theory.theorem.bounds import bounds
from featureconvex.theory.theorem.figure import theorem_figure
from featureconvex.theory.theorem.simulation import simulate

RESULT_FILE, FIGURE_FILE = "theorem.json", "theorem.png"
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


def theorem(out: Path, quick: bool = False, seed: int = 0) -> dict[str, Any]:
    """Write ``theorem.json`` and ``theorem.png``; returns the content of the former.

    Args:
        out: the folder.
        quick: a small grid with few trials.
        seed: of the random points.
    """
    folder = writable_folder(out)
    grid, trials = (QUICK, QUICK_TRIALS) if quick else (GRID, TRIALS)
    points = []
    with progress_bar("theorem", sum(map(len, grid.values()))) as tick:
        for (m, n), dimensions in grid.items():
            for d in dimensions:
                found, seen = bounds(m, n, d), simulate(m, n, d, trials, seed)
                points.append(
                    {
                        **{"M": m, "N": n, "d": d},
                        **{"paper": found.paper, "sharper": found.sharper},
                        **{"estimate": seen.share, "low": seen.low, "high": seen.high},
                        **{"block": found.block, "box": found.box, "box_exact": found.box_exact},
                        **{"wendel": found.wendel, "trials": seen.trials},
                    }
                )
                tick(1, f"M = {m}, N = {n}, d = {d}")
    result = {"points": points, "seed": seed, "provenance": provenance()}
    write_bytes(folder / FIGURE_FILE, png_bytes(theorem_figure(points)))
    write_text(folder / RESULT_FILE, dump_json(result))
    return result
