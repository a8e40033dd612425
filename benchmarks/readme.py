"""Write the README's tables and figure from the committed results.

    python benchmarks/readme.py

A test holds the README to what this script writes.
"""

import json
from pathlib import Path
from typing import Any

from comparison_page import TASKS, best_table, results
from featureconvex.files import replacing, write_text
from page import replaced, table

ROOT = Path(__file__).resolve().parent.parent
MAIN = ROOT / "results" / "main_table.json"
COST = ROOT / "results" / "closed_form.json"
FIGURE = ROOT / "docs" / "figures" / "main.png"


def main_table(content: dict[str, Any]) -> str:
    """One line per task and recipe: clean accuracy and median radii, medians over the seeds."""
    head = ["task", "recipe", "trained for", "clean accuracy", "l1", "l2", "linf", "seeds"]
    body = []
    for row in content["table"]:
        radii = [f"{row['median_radius'][norm]:.3g}" for norm in ("l1", "l2", "linf")]
        trained = "-" if row["recipe"] == "paper" else row["norm"]
        radii = [
            f"**{text}**" if norm == trained else text
            for norm, text in zip(("l1", "l2", "linf"), radii, strict=True)
        ]
        clean = f"{100 * row['clean_accuracy']:.1f} %"
        body.append([TASKS[row["task"]], row["recipe"], trained, clean, *radii, str(row["seeds"])])
    return table(head, body)


def cost_table(content: dict[str, Any]) -> str:
    """One line per network: the ratio to a forward and backward pass at every batch size."""
    sizes = sorted({row["batch"] for rows in content["networks"].values() for row in rows})
    head = ["network", "ms per input, largest batch", *(f"batch of {size}" for size in sizes)]
    body = []
    for name, rows in content["networks"].items():
        ratios = {row["batch"]: f"{row['ratio']:.2f}" for row in rows}
        cost = f"{rows[-1]['certify_ms_per_sample']:.3g}"
        body.append([name, cost, *(ratios.get(size, "") for size in sizes)])
    return table(head, body)


def filled(text: str) -> str:
    """The README with every marked block replaced."""
    blocks = {
        "main-table": main_table(json.loads(MAIN.read_text())),
        "cost-table": cost_table(json.loads(COST.read_text())),
        "comparison-table": best_table(results()),
    }
    for name, block in blocks.items():
        text = replaced(text, name, block)
    return text


def draw(content: dict[str, Any]) -> None:
    """Median certified radius of the paper's recipe and of ours, norm by norm."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3), layout="constrained")
    axes = figure.subplots(1, 3)
    for axis, norm in zip(axes, ("l1", "l2", "linf"), strict=True):
        names, paper, ours = [], [], []
        for task in TASKS:
            rows = {(r["recipe"], r["norm"]): r for r in content["table"] if r["task"] == task}
            if ("paper", "l2") in rows and ("default", norm) in rows:
                names.append(TASKS[task].split(" ")[0])
                paper.append(rows["paper", "l2"]["median_radius"][norm])
                ours.append(rows["default", norm]["median_radius"][norm])
        place = range(len(names))
        for offset, values, label, colour in (
            (-0.2, paper, "paper's recipe", "#999999"),
            (0.2, ours, "default recipe", "#0072B2"),
        ):
            bars = axis.bar([k + offset for k in place], values, 0.38, label=label, color=colour)
            axis.bar_label(bars, fmt="%.3g", padding=2, fontsize=8)
        axis.set_xticks(list(place), names)
        axis.set_title(f"median certified {norm} radius", fontsize=10)
        axis.margins(y=0.18)
        axis.spines[["top", "right"]].set_visible(False)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=8, frameon=False, loc="outside lower center", ncols=2)
    with replacing(FIGURE) as scratch:
        figure.savefig(scratch, dpi=150)


if __name__ == "__main__":
    readme = ROOT / "README.md"
    write_text(readme, filled(readme.read_text(encoding="utf-8")))
    draw(json.loads(MAIN.read_text()))
