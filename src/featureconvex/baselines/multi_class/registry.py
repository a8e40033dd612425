"""The methods for several classes by name; those for one sensitive class that there are none of."""

from featureconvex.baselines.multi_class.feature_convex import FeatureConvexClasses
from featureconvex.baselines.multi_class.method import ClassMethod
from featureconvex.baselines.multi_class.nonexpansive import (
    CayleyClasses,
    LinearClasses,
    LinfDistanceClasses,
    SLLClasses,
)
from featureconvex.baselines.multi_class.smoothing import SmoothingClasses
from featureconvex.baselines.registry import METHODS, add_kind, named_kinds
from featureconvex.errors import UserError

_KINDS: tuple[type[ClassMethod], ...] = (
    FeatureConvexClasses,
    SmoothingClasses,
    CayleyClasses,
    SLLClasses,
    LinfDistanceClasses,
    LinearClasses,
)
CLASS_METHODS: dict[str, type[ClassMethod]] = {kind.name: kind for kind in _KINDS}
"""In the order of tables and figures."""


def register_class_method(kind: type[ClassMethod]) -> type[ClassMethod]:
    """Add a method of your own to comparisons of several classes. Usable as a decorator.

    Raises:
        UserError: the name is taken, or an attribute is missing or not what :class:`ClassMethod` says.
    """
    add_kind(kind, CLASS_METHODS)
    return kind


def find_class_methods(names: str | None) -> list[type[ClassMethod]]:
    """The methods named in ``names``, separated by commas; all of them for None.

    Raises:
        UserError: an unknown name, or a method for one sensitive class only.
    """
    asked = [] if names is None else [name.strip() for name in names.split(",")]
    binary = [name for name in asked if name in METHODS and name not in CLASS_METHODS]
    if binary:
        raise UserError(
            f"{', '.join(binary)}: for one sensitive class only; with --multi-class own there are "
            f"{', '.join(CLASS_METHODS)}"
        )
    return named_kinds(names, CLASS_METHODS)
