"""The answers of the page on overfitting."""

from collections.abc import Callable

from featureconvex.results.numbers import percent
from studies.words import Content, shares


def counts(content: Content) -> str:
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


MAKERS: dict[str, Callable[[Content], str]] = {
    "overfitting-counts": counts,
}
