"""The answers of the page on several classes."""

from collections.abc import Callable

from featureconvex.results.numbers import percent, significant
from studies.words import Content, points, shares, signed, spread, table


def models(content: Content) -> str:
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


def gain(content: Content) -> str:
    """What convex scores have more than affine ones."""
    titles = {one["data"]: one["title"] for one in content["models"]}
    said = [
        f"{titles[data]}: {signed(own['mean_radius'])} of mean radius, {points(own['accuracy'])} points "
        "of accuracy"
        for data, own in content["gain"].items()
    ]
    return f"Convex less affine scores, over seeds and temperatures: {'; '.join(said)}."


def sets(content: Content) -> str:
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


MAKERS: dict[str, Callable[[Content], str]] = {
    "multi-class-models": models,
    "multi-class-gain": gain,
    "multi-class-sets": sets,
}
