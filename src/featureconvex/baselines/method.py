"""What a method in the comparison is: fit, predict, certify."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from featureconvex.certificates import Guarantee
from featureconvex.errors import UserError
from featureconvex.files import replacing
from featureconvex.progress import Ticker, silent
from featureconvex.training.points import Points

Radii = dict[float, NDArray[np.float64]]
"""Native norm (its exponent) -> (n,) certified radius, 0 where nothing is certified."""

Setting = Mapping[str, Any]
"""What one fit of a method is told apart by, as plain JSON values: ``{"sigma": 0.75}``, say."""


@dataclass(frozen=True)
class Options:
    """What a user chooses for every method alike.

    Attributes:
        shape: of one input: (c, h, w) for images with pixels in [0, 1]; (d,) for tables, which
            the comparison standardises, so that radii are in training standard deviations.
        task: its name, for methods with settings per data set.
        seed: of everything random.
        epochs: of training; None leaves it to the method.
        samples: of noise per certificate, for sampling methods.
        device: where to compute, as torch writes it.
        costly_limit: how many test points a method that is ``costly`` certifies, the first
            ones; None: all.
    """

    shape: tuple[int, ...]
    task: str = ""
    seed: int = 0
    epochs: int | None = None
    samples: int = 100_000
    device: str = "cpu"
    costly_limit: int | None = None

    @property
    def dimension(self) -> int:
        """The number of coordinates of one input."""
        return int(np.prod(self.shape))

    @property
    def image(self) -> bool:
        """Whether inputs are images, with pixels in [0, 1]."""
        return len(self.shape) == 3


class CertifiedMethod(nn.Module, ABC):
    """One certified classifier of a comparison: what methods for one class and for several share.

    Attributes:
        name: in tables and on the command line.
        title: in figures.
        native_norms: the exponents of the norms it certifies without conversion.
        levels: its kinds of certificate, cheapest first, each with what it promises. Most have one.
        points_per_step: how many points are certified between two saves.
        costly: whether a certificate takes so long, by samples or by search, that a user may ask for fewer.
        passes: what one certificate takes, in words ("1 forward, 1 backward").
        literature: what its paper reports on the nearest comparable task, with the source.
        former_names: how names of tensors began in files of earlier versions -> how they begin now.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    native_norms: ClassVar[tuple[float, ...]]
    levels: ClassVar[Mapping[str, Guarantee]] = {"certified": Guarantee.deterministic}
    points_per_step: ClassVar[int] = 250
    costly: ClassVar[bool] = False
    passes: ClassVar[str]
    literature: ClassVar[str]
    former_names: ClassVar[Mapping[str, str]] = {}

    def __init__(self, options: Options, setting: Setting) -> None:
        super().__init__()
        self.options, self.setting = options, dict(setting)

    @classmethod
    def settings(cls, options: Options) -> list[Setting]:
        """The settings to compare, one fit each; one without names where there is nothing to vary."""
        return [{}]

    @abstractmethod
    def fit(
        self,
        fitting: Points,
        validation: Points,
        *,
        folder: Path | None = None,
        tick: Ticker = silent,
    ) -> dict[str, Any]:
        """Train on ``fitting`` and balance the classes on ``validation``.

        Args:
            fitting, validation: inputs (n, *shape) float32 and labels: 1 sensitive and 0 other, or the
                numbers of the classes.
            folder: where a killed training may continue from; None keeps nothing.
            tick: called with the work done since the last call, in epochs, and words for the bar.

        Returns:
            Facts for the record as plain JSON values: at least ``epochs`` and ``train_accuracy``.
        """

    @abstractmethod
    def certify(self, x: Tensor, level: str) -> Radii:
        """Certified radii of inputs (n, *shape) in each native norm.

        Every perturbation of norm strictly less than the radius keeps the prediction (with the method's
        confidence, for sampling methods). 0 where the method abstains; never NaN.
        """

    def covers(self, level: str) -> int | None:
        """How many of the test points a level is asked about, the first ones; None: all."""
        del level
        return self.options.costly_limit if self.costly else None

    def measurements(self, x: Tensor) -> dict[str, float]:
        """Further figures worth reporting, measured on a few flagged sensitive points (n, *shape)."""
        del x
        return {}

    def save(self, path: Path) -> None:
        """Write what :meth:`fit` learnt, whole or not at all, as safetensors."""
        tensors = {name: value.contiguous() for name, value in self.state_dict().items()}
        with replacing(path) as scratch:
            save_file(tensors, scratch)

    def load(self, path: Path) -> None:
        """Read what :meth:`save` wrote.

        Raises:
            UserError: the file is damaged, or of another method, setting or shape.
        """
        try:
            tensors = load_file(path)
            for old, new in self.former_names.items():
                tensors = {re.sub(f"^{re.escape(old)}", new, k): v for k, v in tensors.items()}
            self.load_state_dict(tensors)
        except Exception as error:
            raise UserError(
                f"{path} is not a saved {self.name}: {error}; delete it to fit anew"
            ) from error


class Method(CertifiedMethod):
    """One certified classifier of the comparison, for one sensitive class.

    A subclass names the attributes of :class:`CertifiedMethod`, builds its modules in ``__init__`` from the
    options and one setting (cheaply, and the same every time, so that ``load`` can fill a fresh one), and
    writes ``fit``, :meth:`predict` and :meth:`certify`. The laws it must keep are
    :data:`featureconvex.testing.METHOD_LAWS`.
    """

    @abstractmethod
    def predict(self, x: Tensor) -> NDArray[np.bool_]:
        """Whether each input (n, *shape) is predicted sensitive, (n,)."""

    @abstractmethod
    def certify(self, x: Tensor, level: str) -> Radii:
        """Certified radii of inputs (n, *shape) in each native norm.

        Every perturbation of norm strictly less than the radius keeps an input sensitive (with the
        method's confidence, for sampling methods). 0 where it is not predicted sensitive, or where
        the method abstains; never NaN.
        """
