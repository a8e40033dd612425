"""Which class of the user's own data is the sensitive one."""

from collections.abc import Sequence

from featureconvex.errors import UserError

IMPLIED = (("0", "1"), ("False", "True"))
"""Pairs of class names where the second is taken as sensitive unless told otherwise."""


def choose_sensitive(classes: Sequence[str], sensitive: str | None, origin: str) -> tuple[str, str]:
    """The name of the sensitive class and what everything else is called.

    Args:
        classes: the names of the classes in the data.
        sensitive: the user's choice; may be None for the classes 0 and 1, or False and True.
        origin: where the classes come from, for messages.

    Raises:
        UserError: fewer than two classes, no choice where one is needed, or an unknown name.

    >>> choose_sensitive(["ham", "spam"], "spam", "mail.csv")
    ('spam', 'ham')
    >>> choose_sensitive(["0", "1"], None, "mail.csv")
    ('1', '0')
    """
    listed = ", ".join(classes[:10]) + (" ..." if len(classes) > 10 else "")
    if len(classes) < 2:
        raise UserError(f"{origin} has {len(classes)} class ({listed}); two or more are needed")
    if sensitive is None:
        sensitive = _implied(classes)
    if sensitive is None:
        raise UserError(
            f"{origin} has the classes {listed}; name the one an attacker wants to leave with "
            "--sensitive"
        )
    if sensitive not in classes:
        raise UserError(
            f"{origin} has no class {sensitive!r}; --sensitive must be one of: {listed}"
        )
    others = [name for name in classes if name != sensitive]
    return sensitive, others[0] if len(others) == 1 else f"not {sensitive}"


def _implied(classes: Sequence[str]) -> str | None:
    for other, sensitive in IMPLIED:
        if set(classes) == {other, sensitive}:
            return sensitive
    return None
