"""What a method in a comparison of several classes is: fit, predict a class, certify that it stays."""

import reprlib
from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from featureconvex.baselines.method import CertifiedMethod, Options, Setting


@dataclass(frozen=True)
class ClassOptions(Options):
    """What a user chooses for every method alike.

    Attributes:
        classes: how many there are, at least 2.
        names: of the classes, for what is stored; none where nobody named them.
    """

    classes: int = 2
    names: tuple[str, ...] = ()


class ClassMethod(CertifiedMethod):
    """One certified classifier of several classes.

    As :class:`featureconvex.baselines.Method`, with the number of a class in place of a flag: labels are
    numbers from 0 on, and a radius is the budget below which the class *predicted* stays predicted.
    """

    options: ClassOptions

    def __init__(self, options: ClassOptions, setting: Setting) -> None:
        super().__init__(options, setting)

    @abstractmethod
    def predict(self, x: Tensor) -> NDArray[np.int64]:
        """The number of the class of each input (n, *shape), (n,)."""


def classes_of(method: ClassMethod, x: Tensor) -> NDArray[np.int64]:
    """What ``predict`` says of inputs (n, *shape), checked before anybody relies on it.

    Raises:
        ValueError: not an array of int64 (n,) with numbers of classes.
    """
    found, most = method.predict(x), method.options.classes
    whole = isinstance(found, np.ndarray) and found.shape == (len(x),) and found.dtype == np.int64
    if not whole or bool(((found < 0) | (found >= most)).any()):
        raise ValueError(
            f"{method.name}: predict must return an array of {len(x)} int64 from 0 to {most - 1}, got "
            f"{reprlib.repr(found)}"
        )
    return found
