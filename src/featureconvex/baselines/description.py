"""What tables and figures say of a method, read off its class or off ``comparison.json``."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from featureconvex.baselines.method import Method
from featureconvex.certificates import Guarantee
from featureconvex.norms import norm_name, parse_norm


@dataclass(frozen=True)
class Description:
    """A method without its code, so that results outlive the class that made them.

    Attributes:
        name, title, native_norms, levels, passes, literature: as in :class:`Method`.
    """

    name: str
    title: str
    native_norms: tuple[float, ...]
    levels: Mapping[str, Guarantee]
    passes: str
    literature: str

    @classmethod
    def of(cls, kind: type[Method]) -> "Description":
        """The description of a method's class."""
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

    def to_table(self) -> dict[str, Any]:
        """As plain values, the way ``comparison.json`` holds it.

        >>> from featureconvex.baselines.linear import Linear
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


def setting_words(setting: Mapping[str, Any]) -> str:
    """A setting in words; empty where there is nothing to vary.

    >>> setting_words({"sigma": 0.75}), setting_words({"recipe": "default", "flips": True})
    ('sigma 0.75', 'recipe default, flips true')
    """
    return ", ".join(
        f"{key} {value if isinstance(value, str) else json.dumps(value)}"
        for key, value in setting.items()
    )
