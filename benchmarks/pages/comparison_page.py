"""Write the pages of the comparison and their figures from the committed comparisons.

    python benchmarks/pages/comparison_page.py

``docs/comparison.md`` has the summary, ``docs/comparison-tables.md`` everything. Tests hold the pages to
what this script writes. A task whose result is missing is named with the command that makes it.
"""

import re
from pathlib import Path
from statistics import mean, median
from typing import Any

from matplotlib.figure import Figure

from featureconvex.baselines.description import setting_words
from featureconvex.baselines.registry import METHODS
from featureconvex.comparison.curves import restored
from featureconvex.comparison.report.costs import cost_sentences, runtime_table
from featureconvex.comparison.report.line_figures import gallery_figure
from featureconvex.comparison.report.lines import MethodLine, all_lines, norms
from featureconvex.comparison.report.method_tables import CONVERTED, overview_table
from featureconvex.comparison.report.origins import origins
from featureconvex.comparison.report.remarks import failures, literature
from featureconvex.comparison.schema import ComparisonTables
from featureconvex.files import write_bytes, write_text
from featureconvex.report.plot_style import BLUE, FAINT, canvas, png_bytes
from featureconvex.results.numbers import percent, significant
from featureconvex.results.strict_json import load_json
from page import filled_page, table

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "results"
DOCS = ROOT / "docs"
PAGES = (DOCS / "comparison.md", DOCS / "comparison-tables.md")
TRADED = RESULTS / "traded.json"
SEEDS = RESULTS / "compare_seeds.json"
FIGURE = DOCS / "figures" / "comparison.png"
BEST_FIGURE = DOCS / "figures" / "baselines.png"
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


def best(found: dict[str, ComparisonTables]) -> list[tuple[str, str, MethodLine, list[MethodLine]]]:
    """Per task and norm: our line, and the two best of the others that certify the norm itself.

    Of every method the setting and the level with the largest area under the curve, which is the order,
    too. A comparison without ours has no row.
    """
    rows = []
    for task, content in found.items():
        for norm in norms(content):
            leaders: dict[str, MethodLine] = {}
            for line in sorted(all_lines(content, norm), key=lambda line: -line.area):
                if not line.converted:
                    leaders.setdefault(line.method, line)
            if ours := leaders.pop(OURS, None):
                rows.append((task, norm, ours, list(leaders.values())[:2]))
    return rows


def best_table(found: dict[str, ComparisonTables]) -> str:
    """Per task and norm: median radius and clean accuracy of ours and of the two best others."""
    body = [
        [
            TASKS[task],
            norm,
            _aside(_numbers(ours), ours.level, elsewhere(ours, norm)),
            *map(_cell, others),
        ]
        for task, norm, ours, others in best(found)
    ]
    return table(["task", "norm", OURS, "the best other", "the next"], body)


def best_sentences(found: dict[str, ComparisonTables]) -> str:
    """One sentence per norm: where ours has the largest area, and who has it elsewhere; then over seeds."""
    first: dict[str, dict[str, list[str]]] = {}
    for task, norm, ours, others in best(found):
        leader = max((ours, *others[:1]), key=lambda line: line.area)
        name = _aside(leader.name, elsewhere(leader, norm))
        first.setdefault(norm, {}).setdefault(name, []).append(TASKS[task].split(" ")[0])
    said = []
    for norm, leaders in first.items():
        parts = [f"{name} on {_listed(tasks)}" for name, tasks in leaders.items()]
        said.append(f"In {norm} the most is certified by {'; by '.join(parts)}.")
    return "\n".join([*said, *seeds_sentence(SEEDS)])


COUNTS = {2: "two", 3: "three"}


def seeds_sentence(path: Path) -> list[str]:
    """Where ours has the largest mean radius over all seeds, too: one sentence, none without seeds."""
    if not path.exists():
        return []
    runs = load_json(path)["runs"]
    level, behind = [], []
    for task, norm in dict.fromkeys((run["task"], run["norm"]) for run in runs):
        here = [run for run in runs if (run["task"], run["norm"]) == (task, norm)]
        radii = {
            kind: [run["mean_radius"] for run in here if _kind_of_run(run) == kind]
            for kind in map(_kind_of_run, here)
        }
        ours = max((own for kind, own in radii.items() if kind[2] == OURS), key=mean)
        other = max(mean(own) for kind, own in radii.items() if kind[2] != OURS)
        if mean(ours) <= other:
            place = f"in {norm} on {TASKS[task].split(' ')[0]}"
            (level if other <= max(ours) else behind).append(place)
    seeds = len({run["seed"] for run in runs})
    said = (
        f"That is one seed. Over {COUNTS.get(seeds, seeds)} the mean radius of ours is the largest"
    )
    if level:
        said += f", but {_listed(level)}, where the best peer is level with it within the spread of seeds"
    if behind:
        said += f", and less than the best peer's {_listed(behind)}"
    return [f"{said}."]


def elsewhere(line: MethodLine, norm: str) -> str:
    """That a model of ours is trained for another norm; nothing for others, and where it is not."""
    trained = re.search(r"norm (l\w+)", line.setting)
    if line.method != OURS or trained is None or trained[1] == norm:
        return ""
    return f"trained for {trained[1]}"


def best_figure(found: dict[str, ComparisonTables]) -> Figure:
    """The table as bars: one panel per norm, one group per task."""
    rows = best(found)
    shown = list(dict.fromkeys(norm for _, norm, _, _ in rows))
    figure, panels = canvas(1, len(shown), 11 / 3, 4)
    for axis, norm in zip(panels, shown, strict=True):
        place, ticks, names = 0.0, [], []
        for task, _, ours, others in (row for row in rows if row[1] == norm):
            ticks.append(place + 0.5 * len(others))
            names.append(TASKS[task].split(" ")[0])
            for line in (ours, *others):
                colour = BLUE if line is ours else FAINT
                bar = axis.barh([place], [line.median or 0.0], 0.85, color=colour)
                axis.bar_label(bar, [f"{line.name}, {_numbers(line)}"], padding=3, fontsize=7)
                place += 1
            place += 0.8
        axis.set_yticks(ticks, names)
        axis.invert_yaxis()
        axis.set_xlim(right=2.4 * axis.get_xlim()[1])  # room for the words beside the longest bar
        axis.set_title(f"median certified {norm} radius, clean accuracy", fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def _listed(words: list[str]) -> str:
    """``A, B and C``."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _aside(text: str, *remarks: str) -> str:
    """With what there is to remark in brackets."""
    said = ", ".join(filter(None, remarks))
    return f"{text} ({said})" if said else text


def _cell(line: MethodLine) -> str:
    return f"{line.name}: {_numbers(line)}"


def _numbers(line: MethodLine) -> str:
    return f"{significant(line.median)} at {percent(line.clean_accuracy)}"


def task_block(task: str, content: ComparisonTables | None) -> str:
    """Everything about one task: who leads, all medians, all costs, what the literature has."""
    if content is None:
        return f"Not run here yet: `python benchmarks/comparison/compare.py --only {task}`."
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
        return "Not run here yet: `python benchmarks/comparison/traded.py`."
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


def seeds_table(path: Path) -> str:
    """Accuracy and mean radius over the seeds there are, median (least to most), of each norm's leaders."""
    if not path.exists():
        return "Not run here yet: `python benchmarks/comparison/compare_seeds.py`."
    runs = load_json(path)["runs"]
    body = []
    for key in dict.fromkeys(map(_kind_of_run, runs)):
        task, norm, method, setting = key
        own = [run for run in runs if _kind_of_run(run) == key]
        radii = [run["mean_radius"] for run in own]
        body.append(
            [
                TASKS[task],
                norm,
                METHODS[method].title,
                setting or "–",
                str(len(own)),
                percent(median(run["clean_accuracy"] for run in own)),
                f"{significant(median(radii))} ({significant(min(radii))} to {significant(max(radii))})",
            ]
        )
    body.sort(key=lambda cells: (cells[0], cells[1]))
    head = ["task", "norm", "method", "setting", "seeds", "clean accuracy", "mean radius"]
    return table(head, body)


def _kind_of_run(run: dict[str, Any]) -> tuple[str, str, str, str]:
    """What tells it from others but for its seed; all of ours are of recipe default."""
    own = {name: value for name, value in run["setting"].items() if name != "recipe"}
    return run["task"], run["norm"], run["method"], setting_words(own)


def blocks() -> dict[str, str]:
    """Every marked block of the pages, by name."""
    found = results()
    return {
        "best-table": best_table(found),
        "best-sentences": best_sentences(found),
        "traded": traded_table(TRADED),
        "compare-seeds": seeds_table(SEEDS),
        **{task: task_block(task, found.get(task)) for task in TASKS},
    }


def filled(text: str) -> str:
    """A page with every marked block replaced."""
    return filled_page(text, blocks())


def write() -> None:
    """Bring pages and figures up to date."""
    for page in PAGES:
        write_text(page, filled(page.read_text(encoding="utf-8")))
    found = results()
    write_bytes(FIGURE, png_bytes(gallery_figure(list(found.values()))))
    write_bytes(BEST_FIGURE, png_bytes(best_figure(found)))


if __name__ == "__main__":
    write()
