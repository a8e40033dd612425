"""The answer of ``featureconvex separability`` in words."""

from typing import Any

from featureconvex.results.numbers import duration, percent, significant


def sentences(result: dict[str, Any]) -> list[str]:
    """What was found, what it means for training, and what to do next."""
    names = (result["sensitive_name"], result["other_name"])
    return [
        f"{result['task']} ({result['split']}): {result['proved']} of {result['points']} points proved "
        f"in {duration(result['seconds'])}, about {result['concerns']}",
        _direction(result["forward"], *names),
        _direction(result["reverse"], *reversed(names)),
        _linear(result),
    ]


def _direction(found: dict[str, Any], mine: str, other: str) -> str:
    text = (
        f"{mine} as the sensitive class: {found['outside']} of {found['points']} points lie outside the "
        f"convex hull of {other}, {found['inside']} inside"
    )
    if found["undecided"]:
        text += f", {found['undecided']} undecided"
    if found["duplicates"]["count"]:
        text += f" ({found['duplicates']['count']} equal to a point of {other})"
    low, high = found["distance"]["l2"]["median"]
    return f"{text}; median l2 distance {significant(low)} to {significant(high)}"


def _linear(result: dict[str, Any]) -> str:
    if result["linearly_separable"]:
        return "one hyperplane separates the classes: a linear model fits them without error"
    text = f"a linear discriminant gets {percent(result['linear_accuracy'])} (mean of both classes)"
    if result["linearly_separable"] is None:
        return f"{text}; no hyperplane that separates the classes was found, and none is ruled out"
    return f"{text}; no hyperplane separates the classes"
