"""The answers of the page on the cascade."""

from collections.abc import Callable

from studies.words import NORMS, Content, shares, spread, table


def answer(content: Content) -> str:
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


def main_table(content: Content) -> str:
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


MAKERS: dict[str, Callable[[Content], str]] = {
    "cascade-answer": answer,
    "cascade-table": main_table,
}
