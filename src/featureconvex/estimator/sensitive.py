"""Which classes are sensitive, and what is asked about them."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featureconvex.errors import UserError
from featureconvex.given import one_of

QUESTIONS = ("auto", "set", "own")


def sensitive_labels(named: Any, classes: NDArray[Any], multi_class: str) -> NDArray[Any]:
    """Those of ``classes`` that the parameter ``sensitive_class`` names, (1,) or more.

    Raises:
        ValueError: none of them, or a label that is not there.
    """
    if named is None:
        every = len(classes) > 2 or multi_class == "own"
        return classes if every else classes[1:]
    single = isinstance(named, str | bytes | np.generic)
    several = isinstance(named, Iterable) and not single
    wanted = list(named) if several else [named]
    if not wanted:
        raise ValueError("sensitive_class names no class; leave it out for all of them")
    for label in wanted:
        if (classes == label).sum() != 1:
            raise ValueError(
                f"sensitive_class={label!r} is not among the labels {classes.tolist()}"
            )
    return classes[[any(label == name for name in wanted) for label in classes]]


def question(
    multi_class: str, sensitive: NDArray[Any], classes: NDArray[Any], target_fpr: float | None
) -> str:
    """``one`` of two classes, a ``set`` or each its ``own``.

    Raises:
        UserError: an unknown one, one that these classes give no answer to, or a useless option.
    """
    asked = one_of("multi_class", multi_class, QUESTIONS)
    every = len(sensitive) == len(classes)
    if asked == "auto":
        two = len(classes) == 2
        asked = "own" if every else "one" if two else "set"
    elif asked == "set" and len(classes) == 2:
        asked = "one"
    if asked != "own" and every:
        raise UserError(
            "multi_class='set' asks whether rows stay in a set, and all classes are in it; leave one "
            "out of sensitive_class, or use multi_class='own'"
        )
    if asked == "own" and target_fpr is not None:
        raise UserError(
            "target_fpr is about one margin; with multi_class='own' the largest score decides. Leave "
            "it out, or use multi_class='set'"
        )
    return asked
