"""One cell for each figure or table; then all of them on one page, and the figures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from featureconvex.comparison.curves import restored
from featureconvex.comparison.report.line_figures import gallery_figure
from featureconvex.norms import NORM_NAMES
from featureconvex.report.plot_style import BLUE, INK, ORANGE, canvas, plain, png_bytes
from featureconvex.study.cascade.figure import figure as cascade_figure
from featureconvex.study.pairs.figure import figure as pairs_figure
from featureconvex.study.paper.items import ITEMS, paper_models
from featureconvex.study.paper.reference import AUTHORS, TITLES
from featureconvex.study.paper.sources import digest, source
from featureconvex.study.study import Row, Settings
from featureconvex.theory.theorem.figure import theorem_figure

PAGE = "paper.md"


def cells(_: bool, seed: int) -> list[Settings]:
    """What it is made from is a setting: other results are another study."""
    return [
        {"item": name, "results": {result: digest(result) for result in results}, "seed": seed}
        for name, (_, results) in ITEMS.items()
    ]


def work(settings: Settings, _: Path | None) -> Row:
    """Title, what the paper has, what is here, what differs, and a table."""
    return ITEMS[settings["item"]][0]().values()


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """Every item, and the numbers of the figure."""
    items = {
        row["settings"]["item"]: {
            **{k: row[k] for k in ("title", "paper", "here", "differs", "head", "body")},
            "results": row["settings"]["results"],
        }
        for row in rows
    }
    return {"items": items, "models": paper_models(), "authors": AUTHORS}


def figure(result: dict[str, Any]) -> Figure:
    """Median radii of recipe paper beside the runs of the authors' code."""
    drawn, places = canvas(1, 3, 3.4, 2.7)
    tasks = [task for task in AUTHORS if task in result["models"]]
    for axes, norm in zip(places, NORM_NAMES, strict=True):
        for place, task in enumerate(tasks):
            low, high = result["authors"][task][norm]
            axes.plot([low, high], [place - 0.12] * 2, "s-", color=ORANGE, ms=5)
            own = result["models"][task][norm]
            axes.plot(own, np.full(len(own), place + 0.12), "o", color=BLUE, ms=5)
        axes.set_yticks(range(len(tasks)), [TITLES[task] for task in tasks], fontsize=8)
        axes.set_ylim(len(tasks) - 0.5, -0.5)
        axes.set_xlim(left=0)
        plain(axes, f"median certified {norm} radius", "")
    handles = [
        places[0].plot([], [], "s-", color=ORANGE, label="authors' code, seeds")[0],
        places[0].plot([], [], "o", color=BLUE, label="recipe paper here, seeds")[0],
    ]
    drawn.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    drawn.suptitle("The paper's models", color=INK, fontsize=11)
    return drawn


def further(result: dict[str, Any]) -> dict[str, bytes]:
    """The page, and a figure for each that has its results."""
    files = {PAGE: page(result).encode()}
    comparisons = [found for task in AUTHORS if (found := source(f"compare_{task}"))]
    if comparisons:
        drawn = gallery_figure([restored(found) for found in comparisons])
        files["figures/curves.png"] = png_bytes(drawn)
    for name, result_name, draw in (
        ("pairs", "study_pairs", pairs_figure),
        ("cascade", "study_cascade", cascade_figure),
        ("theorem", "theorem", lambda found: theorem_figure(found["points"])),
    ):
        found = source(result_name)
        if found is not None:
            files[f"figures/{name}.png"] = png_bytes(draw(found))
    return files


def page(result: dict[str, Any]) -> str:
    """Everything as Markdown."""
    parts = ["# The paper's figures and tables, remade"]
    for item in result["items"].values():
        parts += [
            f"## {item['title']}",
            f"**Paper.** {item['paper']}",
            f"**Here.** {item['here'] or missing(item)}",
            f"**What differs.** {item['differs']}",
        ]
        if item["body"]:
            rows = [item["head"], ["---"] * len(item["head"]), *item["body"]]
            lines = [[cell.replace("|", r"\|") for cell in row] for row in rows]
            parts.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
    return "\n\n".join(parts) + "\n"


def missing(item: dict[str, Any]) -> str:
    """Which results there are not."""
    names = [name for name, found in item["results"].items() if found == "missing"]
    return f"Not measured yet: there is no {', '.join(f'results/{name}.json' for name in names)}."
