"""Write the tables and the figure of ``docs/certificates.md`` from the committed results.

    python benchmarks/pages/certificates_page.py

The figure of the levels is drawn, too. A test holds the page to what this script writes. A block whose
result is missing names the command that makes it.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from featureconvex.certificates import LEVELS
from featureconvex.files import write_text
from featureconvex.results.columns import CLOSED_FORM
from level_figure import draw
from page import filled_page, table

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "results"
PAGE = ROOT / "docs" / "certificates.md"
TASKS = {
    "mnist-3-8": "MNIST 3 vs 8",
    "fashion-shirts": "Fashion shirts",
    "cifar10-cats-dogs": "CIFAR-10 cats vs dogs*",
    "cifar10-dogs-cats": "CIFAR-10 dogs vs cats*",
}
FEATURES = {"identity": "centred pixels", "abs": "`(u, abs u)`"}
Json = dict[str, Any]


def level_table(content: Json) -> str:
    """Median radius per level, followed by the ratio of medians to level 0."""
    body = []
    for row in content["table"]:
        if row["seeds"]:
            cells = [_level_cell(level, row["levels"][level]) for level in LEVELS]
            names = [TASKS[row["task"]], recipe_name(row), row["norm"]]
            body.append([*names, *cells])
    return table(["task", "recipe", "norm", "closed form", "domain", "tight", "sound"], body)


def recipe_name(row: Json) -> str:
    """The recipe, the norm it was trained for where that is not the row's, epochs that are not its own."""
    other = row["recipe"] != "paper" and row["trained_for"] != row["norm"]
    epochs = "".join(f", {count} epochs" for count in row.get("epochs", []))
    return row["recipe"] + (f", trained for {row['trained_for']}" if other else "") + epochs


def _level_cell(level: str, value: Json) -> str:
    if "unavailable" in value:
        return "refused"
    ratio = "" if level == CLOSED_FORM else f" ({value['ratio_of_medians']:.2f})"
    return f"{value['median_radius']:.3g}{ratio}"


def cost_table(content: Json) -> str:
    """Times level 0, per level and threat."""
    threats = list(dict.fromkeys(row["threat"] for row in content["tables"][0]["results"]))
    body = []
    for part in content["tables"]:
        for level in dict.fromkeys(row["level"] for row in part["results"]):
            ratios = {r["threat"]: r["ratio"] for r in part["results"] if r["level"] == level}
            cells = [f"{ratios[threat]:.3g}" for threat in threats]
            body.append([FEATURES[part["features"]], level, *cells])
    unit = content["tables"][0]["level_0_us_per_row"]
    said = f"Level 0 took {unit:.0f} microseconds per input for centred pixels."
    return f"{table(['features', 'level', *threats], body)}\n\n{said}"


def gap_table(content: Json) -> str:
    """How far brackets close: median, 95th percentile and times level 0."""
    head = ["network", "threat", "domain", "gap: median", "95th percentile", "times level 0"]
    body = []
    for name, network in content["networks"].items():
        for row in network.get("results", []):
            if "gap_median" in row:
                gaps = [f"{100 * row[key]:.2f} %" for key in ("gap_median", "gap_p95")]
                ratio = f"{row['ratio']:.0f}"
                body.append([name, row["threat"], row["domain"], *gaps, ratio])
    return table(head, body)


def loss_table(content: Json) -> str:
    """What ``sound`` takes off: the median per arithmetic, the largest in brackets."""
    body = []
    for row in content["results"]:
        cells = [
            f"{_lost(loss['median'])} ({_lost(loss['largest'])})" for loss in row["losses"].values()
        ]
        body.append([TASKS[row["task"]], row["norm"], *cells])
    kinds = content["results"][0]["losses"]
    return table(["task", "norm", *(f"`{kind}`" for kind in kinds)], body)


def _lost(share: float) -> str:
    """A share that is mostly nothing."""
    return "< 0.001 %" if share < 1e-5 else f"{100 * share:.3g} %"


def campaign_table(content: Json) -> str:
    """Certificates attacked and violated per level, on trained networks and on all the others."""
    trained = content["trained_models"]
    body = []
    for level in content["levels"]:
        cells = []
        for wanted in (True, False):
            counts = [
                levels[level]
                for origin, levels in content["levels_by_origin"].items()
                if (origin in trained) is wanted and level in levels
            ]
            totals = (sum(count[kind] for count in counts) for kind in ("attacked", "violations"))
            cells += [f"{total:,}" for total in totals]
        body.append([level, *cells])
    head = ["level", "trained: attacked", "violated", "random: attacked", "violated"]
    said = (
        f"{content['certificates']:,} certificates of {content['shards']} models, "
        f"{content['certificates_sound']:,} of them at level `sound`: "
        f"{content['violations_sound']} violations of `sound`."
    )
    if "checks" in content:
        checks = [
            (kind, counts)
            for kind, promises in content["checks"].items()
            for levels in promises.values()
            for counts in levels.values()
        ]
        tried = {kind: sum(c["tried"] for k, c in checks if k == kind) for kind, _ in checks}
        names = ", ".join(f"{count:,} of kind `{kind}`" for kind, count in tried.items())
        said += (
            f" Violations of any level by more than rounding: {content['violations_gross']}. "
            f"Promises besides radii: {names}; {content['violations_of_checks']} broken."
        )
    refused = [f"{one['level']} in {one['threat']}: {one['reason']}" for one in content["refused"]]
    if refused:
        said += f" Settings that a level refused: {len(refused)} ({'; '.join(refused)})."
    return f"{said}\n\n{table(head, body)}"


BLOCKS: dict[str, tuple[str, Callable[[Json], str]]] = {
    "level-table": ("level_table", level_table),
    "sound-loss": ("sound_loss", loss_table),
    "level-cost": ("levels_cost", cost_table),
    "tight-gap": ("tight", gap_table),
    "campaign": ("soundness", campaign_table),
}
SCRIPTS = {
    "level_table": "levels/level_table.py",
    "sound_loss": "levels/sound_loss.py",
    "levels_cost": "levels/levels.py",
    "tight": "levels/tight.py",
    "soundness": "soundness/soundness.py",
}


def blocks() -> dict[str, str]:
    """Every marked block of the page, by name."""
    made = {}
    for name, (result, make) in BLOCKS.items():
        path = RESULTS / f"{result}.json"
        made[name] = f"Not measured here yet: `python benchmarks/{SCRIPTS[result]}`."
        if path.exists():
            made[name] = make(json.loads(path.read_text(encoding="utf-8")))
    return made


def filled(text: str) -> str:
    """The page with every marked block replaced."""
    return filled_page(text, blocks())


def below_bars(row: Json) -> str:
    """What the figure writes below a row's bars."""
    words = recipe_name(row).replace(", ", ",\n")
    data, first, *_ = TASKS[row["task"]].split(" ")
    named = f"{data}\n{first}" if "cifar10" in row["task"] else data
    return f"{named}\n{words}"


def write() -> None:
    """Bring page and figure up to date."""
    write_text(PAGE, filled(PAGE.read_text(encoding="utf-8")))
    draw(
        json.loads((RESULTS / "level_table.json").read_text(encoding="utf-8"))["table"], below_bars
    )


if __name__ == "__main__":
    write()
