"""Write the tables and figures of the README and of ``docs/results.md`` from the committed results.

    python benchmarks/pages/readme.py

A test holds both pages to what this script writes.
"""

import json
from pathlib import Path
from typing import Any

from comparison_page import best_sentences, results
from featureconvex.files import replacing, write_text
from page import filled_page, table

ROOT = Path(__file__).resolve().parents[2]
MAIN = ROOT / "results" / "main_table.json"
PAGES = (ROOT / "README.md", ROOT / "docs" / "results.md")
COST = ROOT / "results" / "closed_form.json"
FIGURE = ROOT / "docs" / "figures" / "main.png"
NAMES = {
    "mnist-3-8": "MNIST 3 vs 8",
    "fashion-shirts": "Fashion T-shirts vs shirts",
    "cifar10-cats-dogs": "CIFAR-10 cats vs dogs*",
    "breast-cancer": "breast cancer, 30 columns",
    "spambase": "spam, 57 columns",
}
NORMS = ("l1", "l2", "linf")


def short_table(content: dict[str, Any]) -> str:
    """One line per task: in each norm, the default recipe trained for that norm."""
    rows = {
        (row["task"], row["norm"]): row
        for row in content["table"]
        if row["recipe"] == "default" and "asked_temperature" not in row
    }
    body = []
    for task, name in NAMES.items():
        found = [rows.get((task, norm)) for norm in NORMS]
        if any(found):
            cells = [
                f"{row_radii(row)[norm]:.3g} at {100 * row['clean_accuracy']:.1f} %" if row else "-"
                for norm, row in zip(NORMS, found, strict=True)
            ]
            unit = "standard deviations" if is_table(rows, task) else "pixels in [0, 1]"
            body.append([name, *cells, unit])
    return table(["data", *NORMS, "unit"], body)


def is_table(rows: dict[tuple[str, str], dict[str, Any]], task: str) -> bool:
    """Whether the task's radii are known in standard deviations."""
    return any("median_radius_in_std" in row for (name, _), row in rows.items() if name == task)


def row_radii(row: dict[str, Any]) -> dict[str, float]:
    """Median radii by norm: of tables with every column in its training standard deviation."""
    radii: dict[str, float] = row.get("median_radius_in_std", row["median_radius"])
    return radii


def main_table(content: dict[str, Any]) -> str:
    """One line per task, recipe and norm: accuracy, radii, training time; medians over the seeds."""
    head = ["task", "recipe", "trained for", "clean accuracy", *NORMS, "training", "seeds"]
    body = []
    for row in content["table"]:
        trained = "-" if row["recipe"] == "paper" else row["norm"]
        texts = {norm: f"{row_radii(row)[norm]:.3g}" for norm in NORMS}
        radii = [f"**{text}**" if norm == trained else text for norm, text in texts.items()]
        clean = f"{100 * row['clean_accuracy']:.1f} %"
        if "asked_temperature" in row:
            trained += f", temperature {row['asked_temperature']:g}"
        seconds = f"{row['train_seconds']:.0f} s"
        seeds = str(row["seeds"])
        body.append([NAMES[row["task"]], row["recipe"], trained, clean, *radii, seconds, seeds])
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


def blocks() -> dict[str, str]:
    """Every marked block of the two pages, by name."""
    main = json.loads(MAIN.read_text())
    return {
        "short-table": short_table(main),
        "main-table": main_table(main),
        "cost-table": cost_table(json.loads(COST.read_text())),
        "best-sentences": best_sentences(results()),
    }


def filled(text: str) -> str:
    """A page with every marked block replaced."""
    return filled_page(text, blocks())


def write() -> None:
    """Bring both pages and the figure up to date."""
    for page in PAGES:
        write_text(page, filled(page.read_text(encoding="utf-8")))
    draw(json.loads(MAIN.read_text()))


def draw(content: dict[str, Any]) -> None:
    """Median certified radius of the paper's recipe and of ours, norm by norm."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3), layout="constrained")
    axes = figure.subplots(1, 3)
    for axis, norm in zip(axes, NORMS, strict=True):
        names, paper, ours = [], [], []
        for task in NAMES:
            rows = {
                (r["recipe"], r["norm"]): r
                for r in content["table"]
                if r["task"] == task and "asked_temperature" not in r
            }
            if ("paper", "l2") in rows and ("default", norm) in rows:
                names.append(NAMES[task].split(" ")[0])
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
    write()
