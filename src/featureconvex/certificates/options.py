"""The options of the levels: which level uses which, their defaults, what they may be."""

from collections.abc import Callable, Mapping
from typing import Any

from featureconvex.errors import UserError
from featureconvex.given import one_of, real_number, whole_number, yes_or_no

ARITHMETICS = ("real", "float32", "float64")
RESTS_ON = ("closed-form", "domain", "tight")
DEFAULTS: Mapping[str, Any] = {
    "iterations": 20,
    "tolerance": 0.01,
    "attacks": True,
    "arithmetic": "real",
    "rests_on": "domain",
}
_SEARCH = ("iterations", "tolerance", "attacks")
_USED = {"closed-form": (), "domain": (), "tight": _SEARCH, "sound": ("arithmetic", "rests_on")}
_CHECKS: Mapping[str, Callable[[str, object], Any]] = {
    "iterations": lambda name, value: whole_number(name, value, 0),
    "tolerance": lambda name, value: real_number(name, value, 0),
    "attacks": yes_or_no,
    "arithmetic": lambda name, value: one_of(name, value, ARITHMETICS),
    "rests_on": lambda name, value: one_of(name, value, RESTS_ON),
}


def used_by(level: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of ``options`` that ``level`` uses: for a caller that goes through several levels.

    >>> used_by("domain", {"attacks": False}), used_by("tight", {"attacks": False})
    ({}, {'attacks': False})
    """
    names = _names(level, options.get("rests_on"))
    return {name: value for name, value in options.items() if name in names}


def checked_options(level: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """All options, with the default for each that is None.

    Raises:
        UserError: a value that the option cannot have, or an option that the level does not use: it would
            be ignored without a word.

    >>> checked_options("domain", {"attacks": False})
    Traceback (most recent call last):
        ...
    featureconvex.errors.UserError: level 'domain' does not use attacks; leave it out, or use level 'tight'
    """
    chosen = {
        name: _CHECKS[name](name, value) for name, value in given.items() if value is not None
    }
    names = _names(level, chosen.get("rests_on"))
    for name in chosen:
        if name not in names:
            remedy = "tight" if name in _SEARCH else "sound"
            also = " or rests_on='tight'" if level == "sound" else ""
            raise UserError(
                f"level {level!r} does not use {name}; leave it out, or use level {remedy!r}{also}"
            )
    return {**DEFAULTS, **chosen}


def _names(level: str, rests_on: object) -> tuple[str, ...]:
    return _USED[level] + (_SEARCH if level == "sound" and rests_on == "tight" else ())
