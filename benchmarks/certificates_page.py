"""Write the tables of ``docs/certificates.md`` from the committed results.

    python benchmarks/certificates_page.py

``level_table.py``, ``levels.py`` and ``tight.py`` call it after they have written theirs; a test holds
the page to what this script writes. A block whose result is missing names the command that makes it.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from featureconvex.evaluation.columns import CLOSED_FORM, LEVELS
from featureconvex.files import write_text

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results"
PAGE = ROOT / "docs" / "certificates.md"
TASKS = {
    "mnist-3-8": "MNIST 3 vs 8",
    "fashion-shirts": "Fashion shirts",
    "cifar10-cats-dogs": "CIFAR-10 cats vs dogs*",
}
FEATURES = {"identity": "centred pixels", "abs": "`(u, abs u)`"}
Json = dict[str, Any]


def level_table(content: Json) -> str:
    """Median radius per level, with the ratio of medians to level 0 behind it."""
    lines = _head("task", "recipe", "norm", "closed form", "domain", "tight", "sound")
    for row in content["table"]:
        if row["seeds"]:
            cells = [_level_cell(level, row["levels"][level]) for level in LEVELS]
            names = [TASKS[row["task"]], recipe_name(row), row["norm"]]
            lines.append(_line(*names, *cells))
    return "\n".join(lines)


def recipe_name(row: Json) -> str:
    """The recipe, and the norm it was trained for where that is not the row's."""
    other = row["recipe"] == "default" and row["trained_for"] != row["norm"]
    return row["recipe"] + (f", trained for {row['trained_for']}" if other else "")


def _level_cell(level: str, value: Json) -> str:
    if "unavailable" in value:
        return "refused"
    ratio = "" if level == CLOSED_FORM else f" ({value['ratio_of_medians']:.2f})"
    return f"{value['median_radius']:.3g}{ratio}"


def cost_table(content: Json) -> str:
    """Times level 0, per level and threat."""
    threats = list(dict.fromkeys(row["threat"] for row in content["tables"][0]["results"]))
    lines = _head("features", "level", *threats)
    for table in content["tables"]:
        for level in dict.fromkeys(row["level"] for row in table["results"]):
            ratios = {r["threat"]: r["ratio"] for r in table["results"] if r["level"] == level}
            cells = [f"{ratios[threat]:.3g}" for threat in threats]
            lines.append(_line(FEATURES[table["features"]], level, *cells))
    unit = content["tables"][0]["level_0_us_per_row"]
    lines.append(f"\nLevel 0 took {unit:.0f} microseconds per input for centred pixels.")
    return "\n".join(lines)


def gap_table(content: Json) -> str:
    """How far brackets close: median, 95th percentile and times level 0."""
    lines = _head("network", "threat", "domain", "gap: median", "95th percentile", "times level 0")
    for name, network in content["networks"].items():
        for row in network.get("results", []):
            if "gap_median" in row:
                gaps = [f"{100 * row[key]:.2f} %" for key in ("gap_median", "gap_p95")]
                ratio = f"{row['ratio']:.0f}"
                lines.append(_line(name, row["threat"], row["domain"], *gaps, ratio))
    return "\n".join(lines)


def _head(*names: str) -> list[str]:
    return [_line(*names), _line(*["---"] * len(names))]


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


BLOCKS: dict[str, tuple[str, Callable[[Json], str]]] = {
    "level-table": ("level_table", level_table),
    "level-cost": ("levels_cost", cost_table),
    "tight-gap": ("tight", gap_table),
}
SCRIPTS = {"level_table": "level_table.py", "levels_cost": "levels.py", "tight": "tight.py"}


def filled(text: str) -> str:
    """The page with every marked block replaced."""
    for name, (result, make) in BLOCKS.items():
        begin, end = f"<!-- {name} -->", f"<!-- end {name} -->"
        path = RESULTS / f"{result}.json"
        block = f"Not measured here yet: `python benchmarks/{SCRIPTS[result]}`."
        if path.exists():
            block = make(json.loads(path.read_text(encoding="utf-8")))
        before, rest = text.split(begin)
        text = f"{before}{begin}\n{block}\n{end}{rest.split(end)[1]}"
    return text


def write() -> None:
    """Bring the page up to date."""
    write_text(PAGE, filled(PAGE.read_text(encoding="utf-8")))


if __name__ == "__main__":
    write()
