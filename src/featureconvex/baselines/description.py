"""What tables and figures say of a method, read off its class or off ``comparison.json``."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from featureconvex.baselines.method import CertifiedMethod, Options, Setting
from featureconvex.certificates import Guarantee
from featureconvex.errors import UserError
from featureconvex.norms import NORMS, norm_name, parse_norm


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_name(value: Any) -> bool:
    return _is_text(value) and re.fullmatch(r"[A-Za-z0-9][\w.-]*", value) is not None


def _are_norms(value: Any) -> bool:
    return isinstance(value, tuple) and 0 < len(value) == len({*value} & {*NORMS})


def _are_levels(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and len(value) > 0
        and all(_is_text(k) and isinstance(v, Guarantee) for k, v in value.items())
    )


_ATTRIBUTES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "name": (_is_name, "letters, digits, dots, dashes and underscores, as it names a folder"),
    "title": (_is_text, "a string"),
    "native_norms": (_are_norms, f"a tuple of some of {NORMS}, each once"),
    "levels": (_are_levels, "a dict of at least one level's name and its Guarantee"),
    "passes": (_is_text, "a string"),
    "literature": (_is_text, "a string"),
}


class MethodFacts(TypedDict):
    """A description as ``comparison.json`` holds it."""

    title: str
    native_norm: list[str]
    guarantee: str
    levels: dict[str, str]
    passes: str
    literature: str


@dataclass(frozen=True)
class Description:
    """A method without its code, so that results outlive the class that made them.

    Attributes:
        name, title, native_norms, levels, passes, literature: as in :class:`CertifiedMethod`.
    """

    name: str
    title: str
    native_norms: tuple[float, ...]
    levels: Mapping[str, Guarantee]
    passes: str
    literature: str

    @classmethod
    def of(cls, kind: type[CertifiedMethod]) -> "Description":
        """The description of a method's class.

        Raises:
            UserError: an attribute is missing, or not what :class:`CertifiedMethod` says.
        """
        for name, (right, what) in _ATTRIBUTES.items():
            if not right(getattr(kind, name, None)):
                raise UserError(
                    f"{kind.__name__}.{name} must be {what}, got {getattr(kind, name, 'none')!r}"
                )
        return cls(
            kind.name, kind.title, kind.native_norms, kind.levels, kind.passes, kind.literature
        )

    @classmethod
    def from_table(cls, name: str, table: Mapping[str, Any]) -> "Description":
        """Read what :meth:`to_table` made.

        Raises:
            KeyError, ValueError: a field is missing, or no norm or guarantee.
        """
        return cls(
            name,
            table["title"],
            tuple(parse_norm(norm) for norm in table["native_norm"]),
            {level: Guarantee(guarantee) for level, guarantee in table["levels"].items()},
            table["passes"],
            table["literature"],
        )

    def to_table(self) -> MethodFacts:
        """As plain values, the way ``comparison.json`` holds it.

        >>> from featureconvex.baselines.nonexpansive.linear import Linear
        >>> table = Description.of(Linear).to_table()
        >>> table["native_norm"], table["guarantee"]
        (['l1', 'l2', 'linf'], 'deterministic')
        >>> Description.from_table("linear", table) == Description.of(Linear)
        True
        """
        return {
            "title": self.title,
            "native_norm": [norm_name(p) for p in self.native_norms],
            "guarantee": str(next(iter(self.levels.values()))),
            "levels": {level: str(guarantee) for level, guarantee in self.levels.items()},
            "passes": self.passes,
            "literature": self.literature,
        }


def settings_of(kind: type[CertifiedMethod], options: Options) -> list[Setting]:
    """The settings of a method's class, at least one and no two alike.

    Raises:
        ValueError: they are something else.
    """
    settings = kind.settings(options)
    right = isinstance(settings, list) and all(isinstance(s, Mapping) for s in settings)
    if not right or not settings or len({*map(setting_words, settings)}) < len(settings):
        raise ValueError(
            f"{kind.__name__}.settings must return a list of dicts, at least one and no two alike; "
            f"got {settings!r}"
        )
    return settings


def has_words(setting: Mapping[str, Any], asked: str) -> bool:
    """Whether a setting has everything that is asked for: names, values, and names with their values.

    The order, capitals and commas do not count. ``no NAME`` asks for settings without that name.

    >>> setting = {"recipe": "default", "norm": "l2", "share": 0.5}
    >>> [has_words(setting, asked) for asked in ("norm l2", "share .5, DEFAULT", "share", "norm l1")]
    [True, True, True, False]
    >>> [has_words(setting, asked) for asked in ("norm l2, no head", "norm l2, no share")]
    [True, False]
    """
    named = {key.lower(): _plain(value) for key, value in setting.items()}
    words = asked.lower().replace(",", " ").split()
    while words:
        word = words.pop(0)
        if word == "no" and words:
            if words.pop(0) in named:
                return False
        elif word in named:
            if words and words[0] not in named and _plain(words.pop(0)) != named[word]:
                return False
        elif _plain(word) not in named.values():
            return False
    return True


def _plain(value: object) -> str:
    """A value as it is compared: numbers by what they are."""
    text = (value if isinstance(value, str) else json.dumps(value)).lower()
    try:
        return repr(float(text))
    except ValueError:
        return text


def setting_words(setting: Mapping[str, Any]) -> str:
    """A setting in words; empty where there is nothing to vary.

    >>> setting_words({"sigma": 0.75}), setting_words({"recipe": "default", "flips": True})
    ('sigma 0.75', 'recipe default, flips true')
    """
    return ", ".join(
        f"{key} {value if isinstance(value, str) else json.dumps(value)}"
        for key, value in setting.items()
    )
