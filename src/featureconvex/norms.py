"""Vector norms, their duals and their names."""

import math

import torch
from torch import Tensor

from featureconvex.errors import UserError


def check_exponent(p: float) -> float:
    """Return ``p`` as a float.

    Raises:
        UserError: ``p`` is not a number in [1, inf].

    >>> check_exponent(2)
    2.0
    """
    try:
        value = float(p)
    except (TypeError, ValueError):
        value = math.nan
    if not value >= 1:
        raise UserError(f"a norm's exponent p must be in [1, inf], got {p!r}; use 1, 2 or inf")
    return value


def dual_exponent(p: float) -> float:
    """The exponent ``q`` with ``1/p + 1/q = 1`` (Hoelder's inequality).

    >>> dual_exponent(1), dual_exponent(2), dual_exponent(math.inf)
    (inf, 2.0, 1.0)
    """
    p = check_exponent(p)
    if p == 1:
        return math.inf
    return 1.0 if p == math.inf else p / (p - 1)


def parse_norm(text: str | float) -> float:
    """The exponent a user typed: ``1``, ``2``, ``inf``, ``l1``, ``linf``, ``1.5`` ...

    >>> parse_norm("inf"), parse_norm("l2"), parse_norm(1)
    (inf, 2.0, 1.0)
    """
    return check_exponent(text.lower().removeprefix("l") if isinstance(text, str) else text)  # type: ignore[arg-type]


def norm_name(p: float) -> str:
    """The name used in tables and files.

    >>> norm_name(1), norm_name(2.0), norm_name(math.inf), norm_name(1.5)
    ('l1', 'l2', 'linf', 'l1.5')
    """
    return f"l{check_exponent(p):g}"


def vector_norm(v: Tensor, p: float) -> Tensor:
    """``||v_i||_p`` of every row over all other dimensions: (n, ...) -> (n,), in float64.

    Accumulated in float64 whatever the dtype of ``v``, so that a long float32 row loses nothing.
    """
    norm: Tensor = torch.linalg.vector_norm(
        v.flatten(1), check_exponent(p), dim=1, dtype=torch.float64
    )
    return norm
