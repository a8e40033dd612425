"""The answers of the page on Lipschitz maps."""

from collections.abc import Callable

from featureconvex.results.numbers import significant
from studies.words import NORMS, Content, shares, spread, table


def main_table(content: Content) -> str:
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


def scaling(content: Content) -> str:
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


MAKERS: dict[str, Callable[[Content], str]] = {
    "lipschitz-table": main_table,
    "lipschitz-scaling": scaling,
}
