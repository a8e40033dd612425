"""Write ``docs/comparison.md``, its figure and the README's table from the committed comparisons.

    python benchmarks/comparison_page.py

``compare.py`` calls it after it has written a result; tests hold both pages to what this script writes.
A task whose result is missing is named with the command that makes it.
"""

from pathlib import Path

from featureconvex.comparison.curves import restored
from featureconvex.comparison.report.costs import cost_sentences, runtime_table
from featureconvex.comparison.report.line_figures import gallery_figure
from featureconvex.comparison.report.lines import MethodLine, method_lines, norms
from featureconvex.comparison.report.method_tables import CONVERTED, overview_table
from featureconvex.comparison.report.origins import origins
from featureconvex.comparison.report.remarks import failures, literature
from featureconvex.comparison.schema import ComparisonTables
from featureconvex.files import write_bytes, write_text
from featureconvex.report.plot_style import png_bytes
from featureconvex.results.numbers import percent, significant
from featureconvex.results.strict_json import load_json
from page import replaced, table

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results"
PAGE = ROOT / "docs" / "comparison.md"
TRADED = RESULTS / "traded.json"
FIGURE = ROOT / "docs" / "figures" / "comparison.png"
TASKS = {
    "mnist-3-8": "MNIST 3 vs 8",
    "fashion-shirts": "Fashion T-shirts vs shirts",
    "cifar10-cats-dogs": "CIFAR-10 cats vs dogs*",
}
OURS = "feature-convex"


def results() -> dict[str, ComparisonTables]:
    """The committed comparisons, by task."""
    paths = {task: RESULTS / f"compare_{task}.json" for task in TASKS}
    return {task: restored(load_json(path)) for task, path in paths.items() if path.exists()}


def best_table(found: dict[str, ComparisonTables]) -> str:
    """Per task and norm: our median radius, and the best of the others that certify the norm itself.

    A comparison without ours, as of some of the methods alone, has no row.
    """
    body = []
    for task, content in found.items():
        for norm in norms(content):
            lines = [line for line in method_lines(content, norm) if not line.converted]
            ours = next((line for line in lines if line.method == OURS), None)
            if ours is None:
                continue
            others = sorted(
                (line for line in lines if line.method != OURS), key=lambda line: -line.area
            )
            body.append([TASKS[task], norm, *(_cell(line) for line in (ours, *others[:2]))])
    return table(["task", "norm", OURS, "the best other", "the next"], body)


def _cell(line: MethodLine) -> str:
    name = "" if line.method == OURS else f"{line.name}: "
    return f"{name}{significant(line.median)} at {percent(line.clean_accuracy)}"


def task_block(task: str, content: ComparisonTables | None) -> str:
    """Everything about one task: who leads, all medians, all costs, what the literature has."""
    if content is None:
        return f"Not run here yet: `python benchmarks/compare.py --only {task}`."
    overview, runtime = overview_table(content), runtime_table(content)
    parts = [
        f"{content['n_test']} test points, {content['n_sensitive']} of them sensitive "
        f"({content['sensitive_name']}); {content['samples']:,} samples of noise; "
        f"{'; '.join(origins(content))}.",
        table(overview.head, overview.body),
        f"{CONVERTED}: converted from another norm.",
        *(
            "\n".join([f"**{norm}**", "", *(f"- {said}" for said in ordering["sentences"])])
            for norm, ordering in content["ordering"].items()
        ),
        "\n".join(cost_sentences(content)),
        table(runtime.head, runtime.body),
        table(
            ["method", "here", "in the literature"],
            [[card["title"], card["here"], card["there"]] for card in literature(content)],
        ),
        *(f"{title} is left out: {reason}" for title, reason in failures(content)),
    ]
    return "\n\n".join(part for part in parts if part)


def traded_table(path: Path) -> str:
    """Accuracy against radius in l1, for two methods that can trade one for the other."""
    if not path.exists():
        return "Not run here yet: `python benchmarks/traded.py`."
    content = load_json(path)
    body = [
        [
            TASKS[task],
            row["method"],
            f"epsilon {row['epsilon']:g}"
            if row["epsilon"]
            else f"T = {significant(row['temperature'])}",
            percent(row["clean_accuracy"]),
            significant(row["median_radius"]),
            significant(row["average_certified_radius"]),
        ]
        for task, rows in content["tasks"].items()
        for row in rows
    ]
    return table(["task", "method", "trained for", "clean", "median l1", "mean l1 over all"], body)


def filled(text: str) -> str:
    """The page with every marked block replaced."""
    found = results()
    text = replaced(text, "traded", traded_table(TRADED))
    for task in TASKS:
        text = replaced(text, task, task_block(task, found.get(task)))
    return text


def write() -> None:
    """Bring page, figure and README up to date."""
    import readme

    write_text(PAGE, filled(PAGE.read_text(encoding="utf-8")))
    write_bytes(FIGURE, png_bytes(gallery_figure(list(results().values()))))
    page = ROOT / "README.md"
    write_text(page, readme.filled(page.read_text(encoding="utf-8")))


if __name__ == "__main__":
    write()
