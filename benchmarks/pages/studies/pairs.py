"""The answers of the page on the characteristics of class pairs."""

from collections.abc import Callable

from featureconvex.results.numbers import percent, significant
from studies.words import NORMS, Content, shares, spread, table


def main_table(content: Content) -> str:
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


def characteristics(content: Content) -> str:
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


def discussed(content: Content) -> str:
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


def transfer(content: Content) -> str:
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


MAKERS: dict[str, Callable[[Content], str]] = {
    "pairs-table": main_table,
    "pairs-characteristics": characteristics,
    "pairs-discussed": discussed,
    "pairs-transfer": transfer,
}
