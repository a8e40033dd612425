"""Which classes of the user's own data are the sensitive ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featureconvex.data.classes.sides import Halves
from featureconvex.data.dataset import Dataset, Split
from featureconvex.errors import UserError
from featureconvex.scalars import listed

IMPLIED = (("0", "1"), ("False", "True"))
"""Pairs of class names where the second is taken as sensitive unless told otherwise."""
BETWEEN = "|"
"""Between the names of several sensitive classes."""


@dataclass(frozen=True)
class SensitiveClasses:
    """The classes that an attacker wants to leave, and what both sides are called.

    Attributes:
        names: one or more of the classes.
        name: of all of them together.
        other: what everything else is called.
    """

    names: tuple[str, ...]
    name: str
    other: str

    def binary(self, labels: NDArray[Any]) -> NDArray[np.int8]:
        """1 where a label (n,) is one of the names, else 0."""
        return np.isin(labels, self.names).astype(np.int8)

    def remark(self, labels: NDArray[Any]) -> str:
        """Which classes are the other one, of three or more: a misspelt label would be among them."""
        names, counts = np.unique(labels, return_counts=True)
        if len(names) == 2:
            return ""
        others = [
            f"{name} ({count})"
            for name, count in zip(names, counts, strict=True)
            if name not in self.names
        ]
        more = f" and {len(others) - 10} more" if len(others) > 10 else ""
        return f"{self.name} against all other classes: {', '.join(others[:10])}{more}."

    def dataset(
        self, x: NDArray[Any], labels: NDArray[Any], halves: Halves, **known: Any
    ) -> Dataset:
        """The data set; of more than two classes each example keeps its label as its family."""
        y = self.binary(labels)
        train, test = halves
        several = len(np.unique(labels)) > 2
        return Dataset(
            train=Split(x[train], y[train]),
            test=Split(x[test], y[test]),
            sensitive_name=self.name,
            other_name=self.other,
            train_family=labels[train] if several else None,
            test_family=labels[test] if several else None,
            **known,
        )


def choose_sensitive(
    classes: Sequence[str], sensitive: str | None, origin: str
) -> SensitiveClasses:
    """The sensitive classes.

    Args:
        classes: the names of the classes in the data.
        sensitive: the user's choice, several names with ``|`` between them; may be None for the classes 0
            and 1, or False and True.
        origin: where the classes come from, for messages.

    Raises:
        UserError: fewer than two classes, no choice where one is needed, an unknown name, or all of them.

    >>> choose_sensitive(["ham", "spam"], "spam", "mail.csv").other
    'ham'
    >>> choose_sensitive(["0", "1"], None, "mail.csv").name
    '1'
    >>> found = choose_sensitive(["ham", "phish", "scam"], "scam|phish", "mail.csv")
    >>> found.name, found.other
    ('phish or scam', 'ham')
    """
    known = check_several(classes, origin)
    if sensitive is None:
        sensitive = _implied(classes)
    if sensitive is None:
        raise UserError(
            f"{origin} has the classes {known}; name the one an attacker wants to leave with "
            "--sensitive"
            + (
                ", or several as 'A|B' (or `run` or `compare` with --multi-class own, where each class is "
                "to stay what it is)"
                if len(classes) > 2
                else ""
            )
        )
    # A name with such a bar in it is a name first.
    wanted = [sensitive] if sensitive in classes else sensitive.split(BETWEEN)
    for name in wanted:
        if name not in classes:
            raise UserError(
                f"{origin} has no class {name!r}; --sensitive must be one of: {known}"
                + (", or several with | between them" if len(classes) > 2 else "")
            )
        if wanted.count(name) > 1:
            raise UserError(f"--sensitive names {name!r} twice; name each class once")
    names = [name for name in classes if name in wanted]
    others = [name for name in classes if name not in wanted]
    if not others:
        raise UserError(
            f"--sensitive names all classes of {origin}; leave out those that nobody gains from faking"
        )
    together = " or ".join(names) if len(names) <= MOST_NAMED else f"one of {len(names)} classes"
    other = others[0] if len(others) == 1 else f"not {together}"
    return SensitiveClasses(tuple(names), together, other)


# More names than this make no name.
MOST_NAMED = 4


def _implied(classes: Sequence[str]) -> str | None:
    for other, sensitive in IMPLIED:
        if set(classes) == {other, sensitive}:
            return sensitive
    return None


def check_several(classes: Sequence[str], origin: str) -> str:
    """The names for a message, of two classes or more.

    Raises:
        UserError: fewer.
    """
    shown = listed(classes)
    if len(classes) < 2:
        raise UserError(f"{origin} has {len(classes)} class ({shown}); two or more are needed")
    return shown
