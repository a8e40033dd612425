"""Which classes of the user's own data are the sensitive ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featureconvex.errors import UserError

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
    listed = ", ".join(classes[:10]) + (" ..." if len(classes) > 10 else "")
    if len(classes) < 2:
        raise UserError(f"{origin} has {len(classes)} class ({listed}); two or more are needed")
    if sensitive is None:
        sensitive = _implied(classes)
    if sensitive is None:
        raise UserError(
            f"{origin} has the classes {listed}; name the one an attacker wants to leave with "
            "--sensitive" + (", or several as 'A|B'" if len(classes) > 2 else "")
        )
    # A name with such a bar in it is a name first.
    wanted = [sensitive] if sensitive in classes else sensitive.split(BETWEEN)
    for name in wanted:
        if name not in classes:
            raise UserError(
                f"{origin} has no class {name!r}; --sensitive must be one of: {listed}"
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
