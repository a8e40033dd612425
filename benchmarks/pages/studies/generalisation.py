"""The answers of the page on generalisation."""

from collections.abc import Callable

from featureconvex.results.numbers import percent
from studies.words import Content, points, spread, table


def main_table(content: Content) -> str:
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


def signs(content: Content) -> str:
    """Rank correlations of the cheap numbers with the gaps."""
    body = [
        [words, *(spread(content["agreement"][m][name]) for m in ("fixed", "default"))]
        for name, words in content["described"].items()
    ]
    return table(["measured before training", "gap of convex", "gap of default"], body)


MAKERS: dict[str, Callable[[Content], str]] = {
    "generalisation-table": main_table,
    "generalisation-signs": signs,
}
