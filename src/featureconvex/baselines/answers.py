"""What a method's ``fit``, ``predict`` and ``certify`` return, checked before anybody relies on it."""

import reprlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from featureconvex.baselines.method import CertifiedMethod, Method, Radii

FACTS = ("epochs", "train_accuracy")
"""What ``fit`` must tell."""


def checked_facts(method: CertifiedMethod, facts: Any) -> dict[str, Any]:
    """What ``fit`` returned.

    Raises:
        ValueError: no dict with at least ``FACTS``.
    """
    if not isinstance(facts, dict) or not facts.keys() >= {*FACTS}:
        raise ValueError(
            f"{method.name}: fit must return a dict with at least {', '.join(FACTS)}, got "
            f"{reprlib.repr(facts)}"
        )
    return facts


def flags_of(method: Method, x: Tensor) -> NDArray[np.bool_]:
    """What ``predict`` says of inputs (n, *shape).

    Raises:
        ValueError: not an array of bool (n,).
    """
    flags = method.predict(x)
    if not isinstance(flags, np.ndarray) or flags.shape != (len(x),) or flags.dtype != bool:
        raise ValueError(
            f"{method.name}: predict must return an array of {len(x)} bool, got {reprlib.repr(flags)}"
        )
    return flags


def radii_of(method: CertifiedMethod, x: Tensor, level: str) -> Radii:
    """What ``certify`` says of inputs (n, *shape).

    Raises:
        ValueError: not a dict with an array float64 (n,) for each native norm, or a radius that is
            negative or NaN.
    """
    source, radii = f"{method.name}, level {level}", method.certify(x, level)
    if not isinstance(radii, dict) or set(radii) != set(method.native_norms):
        raise ValueError(
            f"{source}: certify must return a dict of the norms {method.native_norms}, got "
            f"{reprlib.repr(radii)}"
        )
    for p, radius in radii.items():
        array = isinstance(radius, np.ndarray)
        if not array or radius.shape != (len(x),) or radius.dtype != np.float64:
            what = f"{radius.dtype} {radius.shape}" if array else type(radius).__name__
            raise ValueError(
                f"{source}, p = {p:g}: certify must return an array float64 ({len(x)},), "
                f"one radius per point, got {what}"
            )
        if not bool((radius >= 0).all()):
            raise ValueError(
                f"{source}, p = {p:g}: certify must return radii >= 0, none of them NaN"
            )
    return radii
