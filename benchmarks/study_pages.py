"""Write the answers of the pages on studies from the committed results.

    python benchmarks/study_pages.py

A test holds the pages to what this script writes. An answer without its result names the command that
makes it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from featureconvex.files import write_text
from featureconvex.results.numbers import percent, significant
from featureconvex.study.registry import STUDIES
from page import blocks_of, filled_page
from page import table as page_table

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
APART = ("theorem",)
NAMES = [name for name in STUDIES if name not in APART]
PAGES = [f"study-{name}" for name in NAMES]
NORMS = ("l1", "l2", "linf")
Content = dict[str, Any]


def table(head: list[str], body: list[list[str]]) -> str:
    """A table whose cells may have bars in them, as in |u|."""
    return page_table(head, [[cell.replace("|", "\\|") for cell in row] for row in body])


def spread(found: Content, digits: int = 2) -> str:
    """An estimate and its interval."""
    low, high = found["low"], found["high"]
    if low is None or high is None:
        return f"{found['estimate']:.{digits}f}"
    return f"{found['estimate']:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def shares(found: Content) -> str:
    """The same of a share, in percent; not below 0 or above 100 %."""
    ends = [min(max(found[name], 0.0), 1.0) for name in ("estimate", "low", "high")]
    return f"{percent(ends[0])} ({percent(ends[1])} to {percent(ends[2])})"


def points(found: Content) -> str:
    """A difference of accuracies in points."""
    if found["low"] is None:
        return f"{100 * found['estimate']:+.1f}"
    ends = [f"{100 * found[name]:+.1f}" for name in ("estimate", "low", "high")]
    return f"{ends[0]} ({ends[1]} to {ends[2]})"


def pairs_table(content: Content) -> str:
    """Per set of 90 models: accuracy, radii, and what unseen classes' pairs are predicted with."""
    body = []
    for found in content["sets"].values():
        accuracy = [pair["clean_accuracy"]["estimate"] for pair in found["pairs"]]
        radii = [pair["median_radius"]["l2"]["estimate"] or 0.0 for pair in found["pairs"]]
        asymmetry = found["asymmetry"]
        body.append(
            [
                f"{found['family']}, {found['kind']}",
                f"{percent(min(accuracy))} to {percent(max(accuracy))}",
                f"{significant(min(radii))} to {significant(max(radii))}",
                spread(found["radius"]["explained_on_unseen"]),
                f"{asymmetry['size']:.2f}",
                spread(asymmetry["explained_on_unseen"]),
                shares(asymmetry["signs_on_unseen"]),
            ]
        )
    head = ["models", "accuracy", "median l2 radius", "R² of the radius", "mean asymmetry"]
    return table([*head, "R² of the asymmetry", "its sign is right"], body)


def pairs_characteristics(content: Content) -> str:
    """Each characteristic alone: rank correlation with the asymmetry."""
    sets = content["sets"].values()
    names = list(next(iter(sets))["asymmetry"]["rank_correlation"])
    words = {**content["described"], "hull": "distance to the other's hull"}
    body = [
        [
            words[name],
            *(spread(found["asymmetry"]["rank_correlation"][name]) for found in sets),
        ]
        for name in names
    ]
    return table(["alone", *(f"{found['family']}, {found['kind']}" for found in sets)], body)


def pairs_discussed(content: Content) -> str:
    """The pairs that the paper names, three seeds each."""
    body = []
    known = content["characteristics"]
    for found in content["discussed"]:
        a, b = found["sensitive"], found["other"]
        own = known[f"{found['family']}/{a}/{b}"]
        radius = [found["median_radius"][norm] for norm in NORMS]
        body.append(
            [
                f"{a} against {b}",
                found["kind"],
                f"{percent(min(found['clean_accuracy']))} to {percent(max(found['clean_accuracy']))}",
                *(f"{significant(min(r))} to {significant(max(r))}" for r in radius),
                significant(own["hull"]),
            ]
        )
    head = ["pair", "recipe", "accuracy", *(f"median {norm}" for norm in NORMS)]
    return table([*head, "distance to the hull"], body)


def pairs_transfer(content: Content) -> str:
    """What one number says alone, and from one family to the other."""
    said = []
    for found in content["sets"].values():
        signs = found["asymmetry"]["single_signs"]["linear_margin"]
        said.append(
            f"{found['family']}, {found['kind']}: the larger linear margin is the larger radius in "
            f"{shares(signs)} of the pairs."
        )
        for other, moved in found["transfer"].items():
            ranks = [spread(moved[name]["rank_correlation"]) for name in ("radius", "asymmetry")]
            said.append(
                f"A regression on {found['family']}, asked about {other}: rank correlation {ranks[0]} "
                f"with the radii, {ranks[1]} with the asymmetries."
            )
    return "\n".join(f"- {line}" for line in said)


def generalisation_table(content: Content) -> str:
    """One line per data set, the largest gap first."""
    sets = content["sets"]
    order = sorted(sets, key=lambda name: -sets[name]["gap"]["fixed"]["estimate"])
    body = []
    for name in order:
        own = sets[name]
        accuracy = own["accuracy"]
        body.append(
            [
                name,
                *(percent(accuracy[m]) for m in ("fixed", "default", "boosted trees")),
                percent(accuracy["logistic regression"]),
                points(own["gap"]["fixed"]),
                points(own["gap"]["default"]),
                percent(own["signs"]["sensitive_outside"]),
                f"{100 * own['signs']['neighbours_over_linear']:+.1f}",
            ]
        )
    head = ["data", "convex", "default", "trees", "linear", "trees - convex", "trees - default"]
    return table([*head, "outside the hull", "neighbours - linear"], body)


def generalisation_signs(content: Content) -> str:
    """Rank correlations of the cheap numbers with the gaps."""
    body = [
        [words, *(spread(content["agreement"][m][name]) for m in ("fixed", "default"))]
        for name, words in content["described"].items()
    ]
    return table(["measured before training", "gap of convex", "gap of default"], body)


def lipschitz_table(content: Content) -> str:
    """Every map: accuracy and radii, mean over seeds with Student's interval of the accuracy."""
    body = []
    for one in content["variants"]:
        spec = one["settings"]["model"]
        if spec["constant"] != 1:
            continue
        body.append(
            [
                one["group"],
                one["label"].removesuffix(", constant 1"),
                shares(one["clean_accuracy"]),
                *(significant(one[f"median {norm}"]["estimate"]) for norm in NORMS),
                significant(one["mean l2"]["estimate"]),
            ]
        )
    head = ["task", "map", "accuracy", *(f"median {norm}" for norm in NORMS), "mean l2 over all"]
    return table(head, body)


def lipschitz_scaling(content: Content) -> str:
    """The same maps times a constant."""
    said = []
    for task, found in content["scaling"].items():
        if len(found["constant"]) == 1:
            continue
        steps = [
            f"{constant}: {shares(own['clean_accuracy'])}, {spread(own['mean l2'])}"
            for constant, own in found["constant"].items()
        ]
        said.append(
            f"{task}, by constant (accuracy, mean l2 radius over all sensitive points): {'; '.join(steps)}."
        )
    return "\n".join(said)


def ablations_table(content: Content) -> str:
    """The variants that change something for certain: Student's interval of a difference excludes 0."""
    body = []
    for one in content["variants"]:
        if one["label"] == "base":
            radius = significant(one["median l2"]["estimate"])
            body.append(
                [one["group"], "**base**", percent(one["clean_accuracy"]["estimate"]), radius]
            )
        elif any(_certain(one["change"][name]) for name in ("clean_accuracy", "median l2")):
            change = one["change"]
            accuracy, radius = points(change["clean_accuracy"]), _signed(change["median l2"])
            body.append([one["group"], one["label"], accuracy, radius])
    return table(["around", "variant", "accuracy, points", "median l2 radius"], body)


def ablations_quiet(content: Content) -> str:
    """The others."""
    said = []
    for group in dict.fromkeys(one["group"] for one in content["variants"]):
        quiet = [
            one["label"]
            for one in content["variants"]
            if one["group"] == group
            and one["label"] != "base"
            and not any(_certain(one["change"][name]) for name in ("clean_accuracy", "median l2"))
        ]
        said.append(f"{group}: {', '.join(quiet) or 'none'}.")
    return "\n".join(f"- {line}" for line in said)


def _certain(found: Content) -> bool:
    return found["low"] is not None and (found["low"] > 0 or found["high"] < 0)


def _signed(found: Content) -> str:
    if found["low"] is None:
        return f"{found['estimate']:+.2f}"
    ends = [f"{found[name]:+.2f}" for name in ("estimate", "low", "high")]
    return f"{ends[0]} ({ends[1]} to {ends[2]})"


def overfitting_counts(content: Content) -> str:
    """How many variants interpolate, and how wide their gap is."""
    said = []
    for name in dict.fromkeys((one["task"], one["map"]) for one in content["variants"]):
        own = [one for one in content["variants"] if (one["task"], one["map"]) == name]
        through = [one for one in own if one["interpolates"]]
        gaps = [one["gap"]["estimate"] for one in through]
        wide = (
            f", with gaps of {100 * min(gaps):.1f} to {100 * max(gaps):.1f} points" if gaps else ""
        )
        best = max(own, key=lambda one: one["test_accuracy"]["estimate"])
        most = percent(max(one["train_accuracy"]["estimate"] for one in own))
        said.append(
            f"{name[0]}, {name[1]}: training accuracy up to {most}; {len(through)} of {len(own)} "
            f"variants fit at least 99.9 % of their training points on every seed{wide}; the best on "
            f"test points is {best['sweep']} {best['label']} with {shares(best['test_accuracy'])}."
        )
    return "\n".join(f"- {line}" for line in said)


def cascade_answer(content: Content) -> str:
    """Both stages, and the families whose radii are largest and smallest."""
    found = content["sources"]["machine"]
    radii = {
        name: own["radius"]["l1"]
        for name, own in found["by_family"].items()
        if own["radius"]["l1"]["estimate"] is not None
    }
    order = sorted(radii, key=lambda name: radii[name]["estimate"])
    ends = [f"{name} {spread(radii[name], 1)}" for name in (*order[:2], *order[-2:])]
    stages = found["detector"]
    return (
        f"The detector flags {shares(stages['flagged_malware'])} of the files that are to be found and "
        f"passes {shares(stages['passed_clean'])} of the clean ones. Of the flagged ones the forest names "
        f"{shares(found['family_accuracy_of_flagged'])} right; the cascade is right on "
        f"{shares(found['cascade_accuracy'])} of the test files. Median certified l1 radii, the two "
        f"smallest and the two largest families: {'; '.join(ends)}."
    )


def cascade_table(content: Content) -> str:
    """A line per family."""
    found = content["sources"]["machine"]
    body = [
        [
            name,
            str(own["files"]),
            shares(own["flagged"]),
            *(
                "–"
                if own["radius"][norm]["estimate"] is None
                else spread(own["radius"][norm], digits)
                for norm, digits in (("l1", 1), ("l2", 2), ("linf", 3))
            ),
        ]
        for name, own in found["by_family"].items()
    ]
    return table(["family", "test files", "flagged", *(f"median {norm}" for norm in NORMS)], body)


def multi_class_models(content: Content) -> str:
    """Scores and temperatures: accuracy and radii of all classes."""
    body = [
        [
            one["title"],
            one["scores"],
            f"{one['temperature']:g}",
            shares(one["accuracy"]),
            significant(one["median_radius"]["estimate"]),
            spread(one["mean_radius"]),
            f"{100 * one['tight_gain']['estimate']:.1f} %",
        ]
        for one in content["models"]
    ]
    head = ["data", "scores", "T", "accuracy", "median l2", "mean l2 over all", "level tight adds"]
    return table(head, body)


def multi_class_gain(content: Content) -> str:
    """What convex scores have more than affine ones."""
    titles = {one["data"]: one["title"] for one in content["models"]}
    said = [
        f"{titles[data]}: {_signed(own['mean_radius'])} of mean radius, {points(own['accuracy'])} points "
        "of accuracy"
        for data, own in content["gain"].items()
    ]
    return f"Convex less affine scores, over seeds and temperatures: {'; '.join(said)}."


def multi_class_sets(content: Content) -> str:
    """Each set: the detector, and of the models of all classes the one nearest to its accuracy."""
    body = []
    for kind in content["sets"]:
        detectors = [one for one in kind["answers"] if one["model"] == "detector"]
        others = [one for one in kind["answers"] if one["model"] == "convex"]
        for detector in detectors:
            near = _nearest(others, _balanced(detector))
            body.append(
                [
                    kind["title"],
                    kind["set"],
                    percent(_balanced(detector)),
                    spread(detector["mean_radius"]),
                    percent(_balanced(near)),
                    spread(near["mean_radius"]),
                ]
            )
    head = [
        "data",
        "set",
        "detector: balanced accuracy",
        "mean radius",
        "ten scores: balanced",
        "mean radius",
    ]
    return table(head, body)


def _nearest(answers: list[Content], balanced: float) -> Content:
    return min(answers, key=lambda one: abs(_balanced(one) - balanced))


def _balanced(one: Content) -> float:
    return (one["recall"]["estimate"] + 1 - one["false_positive_rate"]["estimate"]) / 2


def paper_table(content: Content) -> str:
    """One line per figure or table."""
    body = [
        [item["title"], item["paper"], item["here"], item["differs"]]
        for item in content["items"].values()
    ]
    return table(["figure or table", "paper", "here", "what differs, and why"], body)


def paper_models(content: Content) -> str:
    """The numbers of the models."""
    item = content["items"]["models"]
    return table(item["head"], item["body"])


MAKERS: dict[str, tuple[Callable[[Content], str], str]] = {
    "pairs-table": (pairs_table, "pairs"),
    "pairs-characteristics": (pairs_characteristics, "pairs"),
    "pairs-discussed": (pairs_discussed, "pairs"),
    "pairs-transfer": (pairs_transfer, "pairs"),
    "generalisation-table": (generalisation_table, "generalisation"),
    "generalisation-signs": (generalisation_signs, "generalisation"),
    "lipschitz-table": (lipschitz_table, "lipschitz"),
    "lipschitz-scaling": (lipschitz_scaling, "lipschitz"),
    "ablations-table": (ablations_table, "ablations"),
    "ablations-quiet": (ablations_quiet, "ablations"),
    "overfitting-counts": (overfitting_counts, "overfitting"),
    "cascade-answer": (cascade_answer, "cascade"),
    "cascade-table": (cascade_table, "cascade"),
    "multi-class-models": (multi_class_models, "multi-class"),
    "multi-class-gain": (multi_class_gain, "multi-class"),
    "multi-class-sets": (multi_class_sets, "multi-class"),
    "paper-table": (paper_table, "paper"),
    "paper-models": (paper_models, "paper"),
}


def filled(text: str) -> str:
    """A page with its marked blocks replaced."""
    return filled_page(text, blocks_of(MAKERS, "study_{}.json", "python benchmarks/studies.py {}"))


def write() -> None:
    """Bring the pages up to date."""
    for name in PAGES:
        path = DOCS / f"{name}.md"
        if path.exists():
            write_text(path, filled(path.read_text(encoding="utf-8")))


if __name__ == "__main__":
    write()
