"""The names of the radius columns: which threat, which certificate level, which unit."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from featureconvex.errors import UserError

CLOSED_FORM = "closed-form"
LEVELS = (CLOSED_FORM, "domain", "tight", "sound")
NORMS = ("l1", "l2", "linf")
RAW = "raw"
STD = "std"
UNITS = (STD, RAW)

_RADIUS = re.compile(
    r"radius_(?P<std>std_)?(?P<threat>l(?:\d+(?:\.\d+)?|inf)|patch-[1-9]\d*)"
    r"(?:_(?P<level>domain|tight|sound))?"
)


@dataclass(frozen=True)
class RadiusColumn:
    """One column of certified radii.

    Attributes:
        name: the column's name in the rows.
        threat: ``l1``, ``l2``, ``linf``, ``l1.5`` ..., ``l0`` or ``patch-5``.
        level: one of ``LEVELS``.
        unit: ``raw`` (the units of the input the user gave) or ``std`` (training standard deviations).
    """

    name: str
    threat: str
    level: str
    unit: str

    @property
    def slope(self) -> str:
        """The column with the margin's Lipschitz constant in this threat's norm and unit."""
        return f"slope_{'std_' if self.unit == STD else ''}{self.threat}"

    @property
    def counts(self) -> bool:
        """Whether the radius is a whole number: coordinates (``l0``) or a window's side (``patch-k``)."""
        return is_count(self.threat)


def is_patch(threat: str) -> bool:
    """Whether the threat is a window of one size, so that its radius is that size or 0."""
    return threat.startswith("patch-")


def is_count(threat: str) -> bool:
    """Whether the threat's budget is a whole number rather than a length.

    >>> is_count("l0"), is_count("patch-5"), is_count("l2")
    (True, True, False)
    """
    return threat == "l0" or is_patch(threat)


def parse_radius_column(name: str) -> RadiusColumn:
    """Read threat, level and unit off ``radius_[std_]<threat>[_<level>]``; no level means closed form.

    Raises:
        UserError: the name does not follow the pattern.

    >>> parse_radius_column("radius_patch-5_domain")
    RadiusColumn(name='radius_patch-5_domain', threat='patch-5', level='domain', unit='raw')
    >>> parse_radius_column("radius_std_l2").slope
    'slope_std_l2'
    """
    match = _RADIUS.fullmatch(name)
    if match is None:
        raise UserError(
            f"column {name!r} is not a radius column: expected radius_[std_]<threat>[_<level>] "
            f"with a threat such as l1, l2, linf, l0, patch-5 and a level among "
            f"{', '.join(LEVELS[1:])} (none for the closed form)"
        )
    unit = STD if match["std"] else RAW
    return RadiusColumn(name, match["threat"], match["level"] or CLOSED_FORM, unit)


def radius_columns(names: Iterable[str]) -> list[RadiusColumn]:
    """Every radius column among ``names``: norms, then ``l0``, then patches; levels as in ``LEVELS``.

    Raises:
        UserError: a name starts with ``radius`` but cannot be read.

    >>> [c.name for c in radius_columns(["label", "radius_l0_domain", "radius_l2_tight", "radius_l2"])]
    ['radius_l2', 'radius_l2_tight', 'radius_l0_domain']
    """
    found = [parse_radius_column(name) for name in names if name.startswith("radius")]
    return sorted(
        found, key=lambda c: (UNITS.index(c.unit), *threat_order(c.threat), LEVELS.index(c.level))
    )


def threat_order(threat: str) -> tuple[int, float]:
    """Sorting key: norms by exponent, then ``l0``, then patches by size."""
    if threat == "l0":
        return (1, 0.0)
    if is_patch(threat):
        return (2, float(threat.removeprefix("patch-")))
    return (0, math.inf if threat == "linf" else float(threat.removeprefix("l")))
