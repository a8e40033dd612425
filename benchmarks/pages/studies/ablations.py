"""The answers of the page on ablations."""

from collections.abc import Callable

from featureconvex.results.numbers import percent, significant
from studies.words import Content, points, signed, table


def main_table(content: Content) -> str:
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
            accuracy, radius = points(change["clean_accuracy"]), signed(change["median l2"])
            body.append([one["group"], one["label"], accuracy, radius])
    return table(["around", "variant", "accuracy, points", "median l2 radius"], body)


def quiet(content: Content) -> str:
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


MAKERS: dict[str, Callable[[Content], str]] = {
    "ablations-table": main_table,
    "ablations-quiet": quiet,
}
