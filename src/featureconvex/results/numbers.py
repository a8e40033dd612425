"""Numbers as a reader sees them."""

import math

from featureconvex.results.columns import STD, is_count

_SPACE = "\u00a0"


def percent(fraction: float) -> str:
    """A share with one decimal; only an exact 0 or 1 is shown as such.

    >>> percent(0.8012), percent(0.9999), percent(1.0), percent(0.0001)
    ('80.1\\xa0%', '99.9\\xa0%', '100\\xa0%', '0.1\\xa0%')
    """
    if fraction in (0.0, 1.0):
        return f"{100 * fraction:.0f}{_SPACE}%"
    return f"{min(max(100 * fraction, 0.1), 99.9):.1f}{_SPACE}%"


def significant(value: float | None, digits: int = 3) -> str:
    """A number with a few significant digits; a dash for None, the infinity sign for ``inf``.

    >>> significant(1.7449), significant(None), significant(math.inf), significant(784.0)
    ('1.74', '–', '∞', '784')
    """
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    return f"{value:.{digits}g}" if abs(value) < 10**digits else f"{value:.0f}"


def duration(seconds: float | None) -> str:
    """A time span in the unit that fits.

    >>> duration(0.000013), duration(0.663), duration(4.2), duration(372.0), duration(0.0009999)
    ('13.0 µs', '663 ms', '4.20 s', '6 min 12 s', '1.00 ms')
    """
    if seconds is None:
        return "–"
    for limit, factor, unit in ((1e-3, 1e6, "µs"), (1.0, 1e3, "ms"), (60.0, 1.0, "s")):
        # What three digits round up to the limit is said in the next unit.
        if float(f"{seconds:.3g}") < limit:
            # The alternate form keeps trailing zeros, and a bare point that nobody wants to read.
            return f"{seconds * factor:#.3g}".removesuffix(".") + f" {unit}"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def unit_name(threat: str, unit: str, kind: str) -> str:
    """The unit of a radius in words.

    >>> unit_name("l2", "raw", "image"), unit_name("l1", "std", "table"), unit_name("l0", "raw", "image")
    ('pixel values 0 to 1', 'training standard deviations', 'coordinates')
    """
    if threat == "l0":
        return "coordinates"
    if is_count(threat):
        return "window of pixels" if kind == "image" else "consecutive features"
    if unit == STD:
        return "training standard deviations"
    return "pixel values 0 to 1" if kind == "image" else "raw feature units"
