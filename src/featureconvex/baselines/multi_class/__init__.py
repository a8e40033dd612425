"""The methods of a comparison in which each class is to stay what it is.

``method`` is the interface, ``scores`` what methods with a score per class share, ``registry`` lists them.
"""

from featureconvex.baselines.multi_class.method import ClassMethod, ClassOptions
from featureconvex.baselines.multi_class.registry import (
    CLASS_METHODS,
    find_class_methods,
    register_class_method,
)

__all__ = [
    "CLASS_METHODS",
    "ClassMethod",
    "ClassOptions",
    "find_class_methods",
    "register_class_method",
]
