"""The columns of rows: which threat, which certificate level, which unit; written and read here alone."""

from collections.abc import Iterable
from dataclasses import dataclass

from featureconvex.certificates import LEVELS
from featureconvex.certificates.levels import ClosedForm
from featureconvex.errors import UserError
from featureconvex.norms import norm_name, parse_norm

CLOSED_FORM = ClosedForm.name
RAW = "raw"
STD = "std"
UNITS = (STD, RAW)
RADIUS = "radius"
PREFIXES = (RADIUS, "slope_", "status", "upper_")
"""What columns of certificates begin with: a column of the user's own may not."""


@dataclass(frozen=True)
class RadiusColumn:
    """One column of certified radii, ``radius_[std_]<threat>[_<level>]``; no level means closed form.

    Attributes:
        threat: ``l1``, ``l2``, ``linf``, ``l1.5`` ..., ``l0`` or ``patch-5``.
        level: one of :data:`featureconvex.certificates.LEVELS`.
        unit: ``raw`` (the units of the input the user gave) or ``std`` (training standard deviations).

    >>> RadiusColumn("l2", "tight", STD).name, RadiusColumn("l2", unit=STD).slope
    ('radius_std_l2_tight', 'slope_std_l2')
    """

    threat: str
    level: str = CLOSED_FORM
    unit: str = RAW

    @property
    def name(self) -> str:
        """The column's name in the rows."""
        return f"radius_{self._measure}" + ("" if self.level == CLOSED_FORM else f"_{self.level}")

    @property
    def slope(self) -> str:
        """The column with the margin's Lipschitz constant in this threat's norm and unit."""
        return f"slope_{self._measure}"

    @property
    def status(self) -> str:
        """The column with the certificates' status, in files of several threats."""
        return f"status_{self._measure}"

    @property
    def upper(self) -> str:
        """The column with upper bounds of the radii, in files that have them."""
        return f"upper_{self._measure}"

    @property
    def rival(self) -> str:
        """The column with the class that a row is nearest to, in files of several classes."""
        return f"rival_{self._measure}"

    @property
    def _measure(self) -> str:
        return f"{'std_' if self.unit == STD else ''}{self.threat}"

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
    """The column that has this name: the inverse of :attr:`RadiusColumn.name`.

    Raises:
        UserError: there is none.

    >>> parse_radius_column("radius_patch-5_domain")
    RadiusColumn(threat='patch-5', level='domain', unit='raw')
    """
    rest = name.partition("_")[2]
    unit = STD if rest.startswith("std_") else RAW
    threat, *level = rest.removeprefix("std_").split("_")
    column = RadiusColumn(threat, "_".join(level) or CLOSED_FORM, unit)
    if not _is_threat(threat) or column.level not in LEVELS or column.name != name:
        raise UserError(
            f"column {name!r} is not a radius column: expected radius_[std_]<threat>[_<level>] "
            f"with a threat such as l1, l2, linf, l0, patch-5 and a level among "
            f"{', '.join(LEVELS[1:])} (none for the closed form)"
        )
    return column


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
    return (0, parse_norm(threat))


def _is_threat(threat: str) -> bool:
    if is_patch(threat):
        size = threat.removeprefix("patch-")
        return size.isdecimal() and not size.startswith("0")
    try:
        return threat == "l0" or norm_name(parse_norm(threat)) == threat
    except UserError:
        return False
