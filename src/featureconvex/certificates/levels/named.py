"""Levels by name, for callers in a hurry, command lines and tables."""

from collections.abc import Mapping
from dataclasses import fields

from featureconvex.certificates.levels.base import Level
from featureconvex.certificates.levels.closed_form import ClosedForm
from featureconvex.certificates.levels.domain_aware import Domain
from featureconvex.certificates.levels.sound import Sound
from featureconvex.certificates.levels.tight import Tight
from featureconvex.errors import UserError
from featureconvex.given import one_of

_KINDS: dict[str, type[Level]] = {kind.name: kind for kind in (ClosedForm, Domain, Tight, Sound)}
LEVELS = tuple(_KINDS)
"""The names, each level dominating the one before; ``sound`` is not larger but safer."""


def level_named(level: object) -> Level:
    """The level, or the one of that name with its defaults.

    Raises:
        UserError: neither a level nor the name of one.

    >>> level_named("tight") == Tight()
    True
    """
    if isinstance(level, Level):
        return level
    if isinstance(level, type) and issubclass(level, Level):
        raise UserError(f"level takes an object: level={level.__name__}(), with brackets")
    return _KINDS[one_of("level", level, LEVELS)]()


def parse_level(name: str, *, base: str | None = None, iterations: int | None = None) -> Level:
    """The level that options of a command line describe; None for what was not given.

    Raises:
        UserError: an unknown name, or an option that does not belong to the level.

    >>> parse_level("sound", base="tight", iterations=40)
    Sound(base=Tight(iterations=40, tolerance=0.01, attacks=True), arithmetic='real')
    >>> parse_level("domain", iterations=40)
    Traceback (most recent call last):
        ...
    featureconvex.errors.UserError: level 'domain' has no iterations; leave it out, or use level 'tight'
    """
    if name == Sound.name:
        return Sound(parse_level(base or Domain.name, iterations=iterations))
    level = level_named(name)
    if base is not None:
        raise UserError(f"level {name!r} has no base; leave it out, or use level {Sound.name!r}")
    if iterations is None:
        return level
    if not isinstance(level, Tight):
        raise UserError(
            f"level {name!r} has no iterations; leave it out, or use level {Tight.name!r}"
        )
    return Tight(iterations=iterations)


def refuse_options(options: Mapping[str, object]) -> None:
    """Refuse every option: those of a level belong to its object.

    Raises:
        TypeError: showing the object to use.

    >>> refuse_options({"iterations": 40})
    Traceback (most recent call last):
        ...
    TypeError: certify() has no 'iterations': it belongs to a level, level=fc.levels.Tight(iterations=40)
    """
    for name, value in options.items():
        option = {"rests_on": "base"}.get(name, name)  # its older name
        for owner in (Tight, Sound):
            if option in (field.name for field in fields(owner)):
                shown = f"fc.levels.{owner.__name__}({option}={value!r})"
                raise TypeError(f"certify() has no {name!r}: it belongs to a level, level={shown}")
        raise TypeError(f"certify() got an unexpected keyword argument {name!r}")
