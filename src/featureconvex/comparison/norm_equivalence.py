"""A radius certified in one norm, read in another: norm equivalence."""

import math

import numpy as np
from numpy.typing import NDArray

from featureconvex.baselines.method import Radii


def conversion_factor(native: float, wanted: float, dimension: int) -> float:
    """The largest ``k`` for which the ``wanted`` ball of radius ``k r`` lies in the ``native`` ball ``r``.

    For ``p <= q``: ``||x||_q <= ||x||_p <= d^(1/p - 1/q) ||x||_q``. So 1 when the wanted norm is the
    larger one, and ``d^(1/wanted - 1/native)`` otherwise (``wanted > native``).

    >>> conversion_factor(2.0, 1.0, 784), conversion_factor(2.0, math.inf, 784)
    (1.0, 0.03571428571428571)
    """
    if wanted <= native:
        return 1.0
    exponent = (0 if math.isinf(wanted) else 1 / wanted) - 1 / native
    return float(dimension**exponent)


def in_norm(radii: Radii, wanted: float, dimension: int) -> tuple[NDArray[np.float64], bool]:
    """The largest radius in the wanted norm that the native radii imply, (n,), and whether converted.

    A native radius in the wanted norm is taken as it is, though a conversion might be larger: the
    method's own claim is what is compared.
    """
    if wanted in radii:
        return radii[wanted], False
    converted = [r * conversion_factor(p, wanted, dimension) for p, r in radii.items()]
    return np.max(converted, axis=0), True
