"""Write the comparison of methods in ``docs/several-classes.md`` from the committed results.

    python benchmarks/pages/classes_page.py

A test holds the page to what this script writes. A result that is missing is named with the command that
makes it.
"""

from pathlib import Path

from featureconvex.comparison.curves import restored
from featureconvex.comparison.report.line_figures import gallery_figure
from featureconvex.comparison.report.lines import MethodLine, method_lines, norms
from featureconvex.comparison.report.origins import origins
from featureconvex.comparison.schema import ComparisonTables
from featureconvex.files import write_bytes, write_text
from featureconvex.report.plot_style import png_bytes
from featureconvex.results.numbers import duration, percent, significant
from featureconvex.results.strict_json import load_json
from page import RESULTS, filled_page, table

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = DOCS / "several-classes.md"
FIGURE = DOCS / "figures" / "comparison-own.png"
TASKS = {"mnist": "MNIST, ten digits", "fashion": "Fashion-MNIST, ten garments"}
OURS = "feature-convex"
COMMAND = "python benchmarks/comparison/compare_own.py"
NOTHING = f"Not run here yet: `{COMMAND}`."


def results() -> dict[str, ComparisonTables]:
    """The committed comparisons, by task."""
    paths = {task: RESULTS / f"compare_own_{task}.json" for task in TASKS}
    return {task: restored(load_json(path)) for task, path in paths.items() if path.exists()}


def methods_table(found: dict[str, ComparisonTables]) -> str:
    """Per task and norm the methods that certify it themselves, at their best settings, the best first."""
    body = []
    for task, content in found.items():
        for norm in norms(content):
            body += [
                [TASKS[task].split(",")[0], norm, *_row(content, line, norm)]
                for line in method_lines(content, norm)
                if not line.converted
            ]
    head = ["data", "norm", "method at its best", "accuracy", "least recalled class", "median"]
    head += ["mean over all", "trained for the norm: mean at accuracy", "training", "a certificate"]
    return table(head, body)


def _row(content: ComparisonTables, line: MethodLine, norm: str) -> list[str]:
    setting = content["methods"][line.method]["settings"][line.place]
    level = setting["levels"][line.level]
    own = [
        s
        for s in content["methods"][line.method]["settings"]
        if s["setting"].get("norm", norm) == norm
    ]
    traded = [
        f"{significant(s['levels'][line.level]['average_certified_radius'][norm])} at "
        f"{percent(s['clean_accuracy'])}"
        for s in own
    ]
    recalls = [recall for recall in setting["accuracy_by_class"].values() if recall is not None]
    return [
        f"{line.name} ({line.setting})",
        percent(line.clean_accuracy),
        percent(min(recalls)),
        significant(line.median),
        significant(level["average_certified_radius"][norm]),
        ", ".join(traded),
        duration(setting["train_seconds"]),
        duration(level["seconds_per_certificate"]),
    ]


def outcome(found: dict[str, ComparisonTables]) -> str:
    """Who certifies most, per task and norm."""
    return "\n".join(
        f"- {TASKS[task]}, {norm}: {ordering['sentences'][0]}"
        for task, content in found.items()
        for norm, ordering in content["ordering"].items()
    )


def gains(found: dict[str, ComparisonTables]) -> str:
    """What level tight adds to ours, each setting in the norm it is trained for, and what sound takes."""
    said, lost = [], []
    for task, content in found.items():
        added = {norm: own_gains(content, norm, "tight") for norm in norms(content)}
        parts = [
            f"{100 * min(values):.1f} to {100 * max(values):.1f} % in {norm}"
            for norm, values in added.items()
            if values
        ]
        if parts:
            said.append(f"on {TASKS[task].split(',')[0]} {', '.join(parts)}")
        lost += [-g for norm in norms(content) for g in own_gains(content, norm, "sound")]
    tight = f"Level `tight` adds to the mean radius of our models, each in its own norm: {'; '.join(said)}."
    if not lost:
        return tight
    return (
        f"{tight}\nLevel `sound` here is the closed form again, about the class that the float32 model "
        f"computes, roundings included: it takes {significant(100 * max(lost))} % at most."
    )


def own_gains(content: ComparisonTables, norm: str, level: str) -> list[float]:
    """How much more than the closed form's a level's mean radius is, for our settings of a norm."""
    found = [
        setting["levels"][level].get("gain", {}).get(norm)
        for setting in content["methods"][OURS]["settings"]
        if setting["setting"].get("norm") == norm and level in setting["levels"]
    ]
    return [gain for gain in found if gain is not None]


def made(found: dict[str, ComparisonTables]) -> str:
    """Sizes, and where it was run."""
    said = [
        f"{TASKS[task]}: {content['n_test']:,} test points, {content['samples']:,} samples of noise; "
        f"{'; '.join(origins(content))}."
        for task, content in found.items()
    ]
    return "\n\n".join([*said, f"`{COMMAND}` makes it again."])


MAKERS = {
    "own-outcome": outcome,
    "own-table": methods_table,
    "own-gains": gains,
    "own-made": made,
}


def filled(text: str) -> str:
    """The page with its marked blocks replaced."""
    found = results()
    blocks = {mark: make(found) if found else NOTHING for mark, make in MAKERS.items()}
    return filled_page(text, blocks)


def write() -> None:
    """Bring page and figure up to date."""
    found = list(results().values())
    if found:
        write_bytes(FIGURE, png_bytes(gallery_figure(found)))
    write_text(PAGE, filled(PAGE.read_text(encoding="utf-8")))


if __name__ == "__main__":
    write()
