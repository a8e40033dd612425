"""Threat models by name, for command lines and files."""

from featureconvex.certificates.threats.base import Threat
from featureconvex.certificates.threats.l0 import L0
from featureconvex.certificates.threats.lp import Lp
from featureconvex.certificates.threats.patch import Patch
from featureconvex.errors import UserError
from featureconvex.norms import parse_norm


def parse_threat(text: str) -> Threat:
    """The threat a user typed: ``1``, ``l2``, ``linf``, ``l0``, ``patch:5``, ``patch-5``.

    Raises:
        UserError: anything else.

    >>> parse_threat("patch:5"), parse_threat("l0"), parse_threat("inf")
    (Patch(5), L0(), Lp(inf))
    """
    if not isinstance(text, str):
        raise UserError(f"a threat is named by text such as l2, l0 or patch:5, got {text!r}")
    name = text.strip().lower()
    if name == "l0":
        return L0()
    if name.startswith("patch"):
        size = name.removeprefix("patch").lstrip(":-")
        if not (size.isdecimal() and len(size) < 10):
            raise UserError(f"a patch threat names its size, such as patch:5, got {text!r}")
        return Patch(int(size))
    try:
        return Lp(parse_norm(name))
    except UserError as error:
        raise UserError(
            f"unknown threat {text!r}; use an exponent from 1 to inf (1, 1.5, 2, inf), l0 or patch:SIZE"
        ) from error
