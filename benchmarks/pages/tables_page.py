"""Write the tables of ``docs/tables.md`` and of maps in ``docs/training.md`` from committed results.

    python benchmarks/pages/tables_page.py

Tests hold both pages to what this script writes.
"""

import statistics
from pathlib import Path
from typing import Any

from featureconvex.files import write_text
from featureconvex.results.numbers import percent, significant
from featureconvex.results.strict_json import load_json
from page import filled_page, table

ROOT = Path(__file__).resolve().parents[2]
SETS, MAPS = (ROOT / "results" / f"{name}.json" for name in ("table_sets", "table_maps"))
SETS_PAGE, MAPS_PAGE = (ROOT / "docs" / f"{name}.md" for name in ("tables", "training"))


def filled(text: str) -> str:
    """The page of public tables with its table."""
    runs = load_json(SETS)["runs"]
    head = ["table", "rows", "trained for", "accuracy", "AUC", "linear", "boosted trees"]
    head += ["recall at 1 %, 5 %", "certified there", "median radius", "median price", "seeds"]
    keys = {(run["set"], run["norm"]): None for run in runs}
    body = [_line([run for run in runs if (run["set"], run["norm"]) == key]) for key in keys]
    return filled_page(text, {"table-sets": table(head, body)})


def _line(runs: list[dict[str, Any]]) -> list[str]:
    """One set and norm: medians over seeds."""
    first = runs[0]

    def median(*path: str | int) -> float:
        values = []
        for found in runs:
            for key in path:
                found = found[key]
            values.append(found)
        return statistics.median(values)

    def rates(kind: str) -> str:
        return ", ".join(percent(median(kind, k)) for k in range(len(first["recall"])))

    return [
        first["set"],
        f"{first['n_train'] + first['n_test']:,}",
        first["norm"],
        percent(median("clean_accuracy")),
        f"{median('auc'):.4f}",
        *(percent(median("baselines", k, "clean_accuracy")) for k in range(2)),
        rates("recall"),
        f"{rates('certified_recall')} for {first['certified_for_std']:g}",
        significant(median("median_radius_in_std")),
        significant(median("median_price", "standard deviations")),
        str(len(runs)),
    ]


def maps_filled(text: str) -> str:
    """The page on training with its table of maps."""
    head = ["training rows of", "recipe", "accuracy", "median l2 radius", "median price"]
    body = [
        [
            line["set"],
            line["variant"],
            percent(line["accuracy"]),
            significant(line["median_l2"]),
            significant(line["median_price"]),
        ]
        for line in load_json(MAPS)["lines"]
    ]
    return filled_page(text, {"table-maps": table(head, body)})


def write() -> None:
    """Bring both pages up to date."""
    for page, fill in ((SETS_PAGE, filled), (MAPS_PAGE, maps_filled)):
        write_text(page, fill(page.read_text(encoding="utf-8")))


if __name__ == "__main__":
    write()
