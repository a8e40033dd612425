"""The methods by name."""

from collections.abc import Mapping
from typing import TypeVar

from featureconvex.baselines.description import Description
from featureconvex.baselines.feature_convex import FeatureConvex
from featureconvex.baselines.method import CertifiedMethod, Method
from featureconvex.baselines.monotone import Monotone
from featureconvex.baselines.nonexpansive.cayley import Cayley
from featureconvex.baselines.nonexpansive.linear import Linear
from featureconvex.baselines.nonexpansive.linf_distance import LinfDistance
from featureconvex.baselines.nonexpansive.sll import SLL
from featureconvex.baselines.relu.crown.method import AlphaBetaCrown
from featureconvex.baselines.relu.interval import Interval
from featureconvex.baselines.smoothing.variants import (
    SmoothingGaussian,
    SmoothingLaplacian,
    SmoothingUniform,
)
from featureconvex.baselines.splitting.method import Splitting
from featureconvex.errors import UserError

Kind = TypeVar("Kind", bound=CertifiedMethod)

_KINDS: tuple[type[Method], ...] = (
    FeatureConvex,
    SmoothingGaussian,
    SmoothingLaplacian,
    SmoothingUniform,
    Splitting,
    Cayley,
    SLL,
    LinfDistance,
    AlphaBetaCrown,
    Interval,
    Monotone,
    Linear,
)
METHODS: dict[str, type[Method]] = {kind.name: kind for kind in _KINDS}
"""In the order of tables and figures."""


def register_method(kind: type[Method]) -> type[Method]:
    """Add a method of your own to the comparison. Usable as a decorator.

    Raises:
        UserError: the name is taken, or an attribute is missing or not what :class:`Method` says.
    """
    add_kind(kind, METHODS)
    return kind


def find_methods(names: str | None) -> list[type[Method]]:
    """The methods named in ``names``, separated by commas; all of them for None.

    Raises:
        UserError: an unknown name.
    """
    return named_kinds(names, METHODS)


def add_kind(kind: type[Kind], known: dict[str, type[Kind]]) -> None:
    """Put a class into ``known`` by its name, as :func:`register_method`."""
    Description.of(kind)
    if known.setdefault(kind.name, kind) is not kind:
        raise UserError(f"a method named {kind.name!r} exists already; choose another name")


def named_kinds(names: str | None, known: Mapping[str, type[Kind]]) -> list[type[Kind]]:
    """Those of ``known`` that ``names`` lists, as :func:`find_methods`."""
    if names is None:
        return list(known.values())
    wanted = dict.fromkeys(name.strip() for name in names.split(",") if name.strip())
    unknown = [name for name in wanted if name not in known]
    if unknown or not wanted:
        said = f"unknown method {', '.join(unknown)}" if unknown else "no method named"
        raise UserError(f"{said}; use some of {', '.join(known)}")
    return [known[name] for name in wanted]
