"""The columns of a comparison's rows; levels are the methods' own, so every column names its level."""

from featureconvex.norms import norm_name


def radius_column(p: float, level: str) -> str:
    """Certified radii in the norm with exponent ``p``.

    >>> radius_column(2.0, "certified")
    'radius_l2_certified'
    """
    return f"radius_{norm_name(p)}_{level}"


def seconds_column(level: str) -> str:
    """Seconds per point, of all native norms together."""
    return f"seconds_{level}"
