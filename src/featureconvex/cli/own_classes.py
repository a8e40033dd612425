"""``--multi-class own``: which options go with it, and what a run says."""

from collections.abc import Mapping
from pathlib import Path

from featureconvex.cli.options import MULTI_CLASS
from featureconvex.errors import UserError

WITHOUT_OWN = {
    "--sensitive": "each class is protected; leave it out, or name a set with --multi-class set",
    "--target-fpr": "the largest score decides, and no threshold is chosen by a rate; leave it out",
    "--other-temperature": "no class is the other one; leave it out, --temperature is for all",
    "--recipe": "classes that each stay what they are have the recipe default only; leave it out",
    "--counts": "logarithms of counts are certified for one sensitive class; leave it out",
}
"""Options that do not go with --multi-class own, and why."""


def is_own(multi_class: str, task: str) -> bool:
    """Whether each class is its own: where that is said, or nothing is and the task is named for all.

    Raises:
        UserError: no value of --multi-class.
    """
    from featureconvex.data import names_every_class
    from featureconvex.scalars import one_of

    one_of("multi-class", multi_class, MULTI_CLASS)
    return multi_class == "own" or (multi_class == "auto" and names_every_class(task) is not None)


def refuse_with_own(given: Mapping[str, object]) -> None:
    """Refuse options of one sensitive class where each class is its own.

    Args:
        given: their values, None where they were left out.

    Raises:
        UserError: the first one that was given.
    """
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
