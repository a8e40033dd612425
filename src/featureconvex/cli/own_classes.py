"""``featureconvex run --multi-class own``: which options go with it, and what it says."""

from pathlib import Path

from featureconvex.errors import UserError

WITHOUT_OWN = {
    "--sensitive": "each class is protected; leave it out, or name a set with --multi-class set",
    "--target-fpr": "the largest score decides, and no threshold is chosen by a rate; leave it out",
    "--other-temperature": "no class is the other one; leave it out, --temperature is for all",
    "--recipe": "classes that each stay what they are have the recipe default only; leave it out",
    "--counts": "logarithms of counts are certified for one sensitive class; leave it out",
}
"""Options that do not go with --multi-class own, and why."""


def refuse_with_own(
    sensitive: str | None,
    target_fpr: float | None,
    other_temperature: float | None,
    recipe: str,
    counts: str | None,
) -> None:
    """Refuse options of one sensitive class where each class is its own.

    Raises:
        UserError: the first one that was given.
    """
    given = {
        "--sensitive": sensitive,
        "--target-fpr": target_fpr,
        "--other-temperature": other_temperature,
        "--recipe": None if recipe == "default" else recipe,
        "--counts": counts,
    }
    for option, value in given.items():
        if value is not None:
            raise UserError(
                f"{option} {value} does not go with --multi-class own: {WITHOUT_OWN[option]}"
            )


def class_sentences(folder: Path) -> list[str]:
    """The headline sentences of a run of several classes."""
    from featureconvex.report.multi_class.wording import class_headline
    from featureconvex.results.multi_class.folder import read_class_run

    return class_headline(read_class_run(folder))[:2]
