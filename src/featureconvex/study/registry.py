"""All studies by name; the code of one is imported when it is asked for."""

import difflib
from importlib import import_module
from typing import TYPE_CHECKING

from featureconvex.errors import UserError

if TYPE_CHECKING:
    from featureconvex.study.study import Study

STUDIES = {
    "theorem": "Theorem 3.9: bounds and simulation",
    "pairs": "all ordered pairs of classes, and what predicts their radii",
    "generalisation": "where convexity costs accuracy, and what tells it beforehand",
    "lipschitz": "more expressive feature maps against their constants",
    "ablations": "one thing changed at a time, in the paper's training and in ours",
    "overfitting": "whether input-convex networks interpolate, and whether the gap opens",
    "cascade": "a convex detector in front of a classifier of families, on files",
    "multi-class": "ten classes at once, each its own, against detectors of sets of them",
    "paper": "every figure and table of the paper, remade from committed results",
}
"""Name and one line; the module of that name (``-`` is ``_``) below this folder has the ``STUDY``."""


def check_study(name: str) -> str:
    """``name`` if there is a study of that name; nothing is loaded.

    Raises:
        UserError: there is none; the message lists what there is.
    """
    if name not in STUDIES:
        near = difflib.get_close_matches(name, STUDIES, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UserError(f"there is no study {name!r}; {hint}there are: {', '.join(STUDIES)}")
    return name


def find_study(name: str) -> "Study":
    """The study of that name.

    Raises:
        UserError: there is none.
    """
    check_study(name)
    study: Study = import_module(f"featureconvex.study.{name.replace('-', '_')}").STUDY
    return study
