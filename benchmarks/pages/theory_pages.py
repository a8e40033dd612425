"""Write the tables of the pages on theory from the committed results.

    python benchmarks/pages/theory_pages.py

A test holds the pages to what this script writes. A table without its result names the command that
makes it.
"""

from pathlib import Path
from typing import Any

from featureconvex.files import write_text
from featureconvex.results.numbers import duration, percent, significant
from featureconvex.results.strict_json import load_json
from page import blocks_of, filled_page, table

ROOT = Path(__file__).resolve().parents[2]
RESULTS, DOCS = ROOT / "results", ROOT / "docs"
PAGES = ("separability", "theorem", "perfect-fit")
TRIPLES = ((5, 5, 3), (20, 20, 6), (20, 20, 16), (50, 50, 8), (50, 50, 50), (200, 100, 10))


def separability_table(content: dict[str, Any]) -> str:
    """Points inside, both ways, and the time."""
    body = []
    for name, found in content["sets"].items():
        ways = [found["forward"], found["reverse"]]
        inside = [f"{way['inside']} of {way['points']}" for way in ways]
        body.append(
            [
                name,
                str(found["dimension"]),
                *inside,
                f"{found['proved']} of {found['points']}",
                duration(_seconds(found, "")),
                f"{found['memory_mib'] / 1024:.1f} GB",
            ]
        )
    head = [
        "data",
        "dimension",
        "sensitive inside",
        "other inside",
        "proved",
        "time",
        "memory",
    ]
    return table(head, body)


def distance_table(content: dict[str, Any]) -> str:
    """Median distances to the other hull where they were refined."""
    body = []
    for name, found in content["sets"].items():
        if _seconds(found, "_with_distances") is None:
            continue
        for way, label in (("forward", "sensitive"), ("reverse", "other")):
            distance = found[way]["distance"]
            low, high = distance["l2"]["median"]
            body.append(
                [
                    name,
                    label,
                    f"{significant(low)} to {significant(high)}",
                    significant(distance["l1"]["median"][0]),
                    significant(distance["linf"]["median"][0]),
                    significant(found[way]["distance"]["l2"]["smallest"][0]),
                    certified(name) if way == "forward" else "",
                    duration(_seconds(found, "_with_distances")),
                ]
            )
    if not body:
        return "*Not measured yet: `python benchmarks/tables/separability.py`.*"
    head = [
        "data",
        "points",
        "median l2",
        "l1 at least",
        "linf at least",
        "smallest l2",
        "certified (l1, l2, linf)",
        "time",
    ]
    return table(head, body)


def certified(task: str) -> str:
    """Median certified radii of sensitive test points, each norm by the default recipe for it."""
    rows = [
        row
        for row in load_json(RESULTS / "main_table.json")["table"]
        if row["task"] == task and row["recipe"] == "default" and "asked_temperature" not in row
    ]
    return ", ".join(significant(row["median_radius"][row["norm"]]) for row in rows)


def _seconds(found: dict[str, Any], of: str) -> float | None:
    """Of the processor, else on the clock; None where it was not measured."""
    clock: float | None = found.get(f"seconds{of}")
    return found.get(f"processor_seconds{of}", clock)


def theorem_table(content: dict[str, Any]) -> str:
    """Some of the triples."""
    body = []
    for point in content["points"]:
        if (point["M"], point["N"], point["d"]) in TRIPLES:
            ends = f"{percent(point['low'])} to {percent(point['high'])}"
            bounds = [f"{point[name]:.2g}" for name in ("paper", "block", "box_exact", "wendel")]
            body.append([str(point["M"]), str(point["N"]), str(point["d"]), *bounds, ends])
    head = ["M", "N", "d", "paper", "block", "bounding box", "Wendel", "simulated (95 % interval)"]
    return table(head, body)


def perfect_table(content: dict[str, Any]) -> str:
    """Accuracy and radii of the construction."""
    body = []
    for name, found in content["tasks"].items():
        radii = found["median_radius"]
        body.append(
            [
                name,
                f"{found['pieces']} of {found['sensitive_points']}",
                percent(found["accuracy"]["train"]["both"]),
                percent(found["accuracy"]["test"]["both"]),
                f"{percent(found['accuracy']['test']['sensitive'])}",
                *(
                    f"{significant(radii['closed-form'][norm])} / {significant(radii['tight'][norm])}"
                    for norm in ("l1", "l2", "linf")
                ),
            ]
        )
    head = ["task", "pieces", "training", "test", "test, sensitive", "l1", "l2", "linf"]
    return table(head, body)


def trained_table(content: dict[str, Any]) -> str:
    """What training ends at, one change at a time."""
    body = []
    for name, found in content["experiments"].items():
        radii = found["median_radius"]
        low, high = found["test_accuracy_interval"]
        body.append(
            [
                name.split("-")[0],
                found["changed"].replace("|", r"\|"),
                percent(found["train_accuracy"]),
                f"{percent(found['test_accuracy'])} ({percent(low)} to {percent(high)})",
                "not convex" if radii is None else significant(radii["l2"]),
            ]
        )
    return table(["from", "changed", "training", "test (95 % interval)", "median l2 radius"], body)


OF_TABLES = {
    "separability-table": (separability_table, "separability"),
    "distance-table": (distance_table, "separability"),
}
OF_THEORY = {
    "theorem-table": (theorem_table, "theorem"),
    "perfect-table": (perfect_table, "perfect_fit"),
    "trained-table": (trained_table, "trained_fit"),
}


def filled(text: str) -> str:
    """A page with its marked blocks replaced."""
    blocks = {
        **blocks_of(OF_TABLES, "{}.json", "python benchmarks/tables/{}.py"),
        **blocks_of(OF_THEORY, "{}.json", "python benchmarks/theory/{}.py"),
    }
    return filled_page(text, blocks)


def write() -> None:
    """Bring the pages up to date."""
    for name in PAGES:
        path = DOCS / f"{name}.md"
        write_text(path, filled(path.read_text(encoding="utf-8")))


if __name__ == "__main__":
    write()
