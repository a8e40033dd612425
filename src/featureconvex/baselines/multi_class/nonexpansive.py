"""``cayley``, ``sll``, ``linf-distance``, ``linear`` for several classes: affine scores after the maps."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from featureconvex.baselines.multi_class.scores import AffineScores
from featureconvex.baselines.nonexpansive.cayley import Cayley
from featureconvex.baselines.nonexpansive.linear import Linear
from featureconvex.baselines.nonexpansive.linf_distance import LinfDistance
from featureconvex.baselines.nonexpansive.method import NonexpansiveMethod
from featureconvex.baselines.nonexpansive.sll import SLL
from featureconvex.features import Compose, FeatureMap
from featureconvex.models.model import FeatureConvexModel
from featureconvex.nn import MaxAffine
from featureconvex.training.architectures import Architecture
from featureconvex.training.points import Points


class NonexpansiveClasses(AffineScores):
    """Affine scores after the map of a method for one sensitive class.

    Attributes:
        binary: that method, whose name, title, norms and literature they have.
    """

    binary: ClassVar[type[NonexpansiveMethod]]

    def __init_subclass__(cls, **rest: Any) -> None:
        super().__init_subclass__(**rest)
        if "binary" not in vars(cls):
            return
        kind = cls.binary
        cls.name, cls.title = kind.name, kind.title
        cls.native_norms, cls.literature = kind.native_norms, kind.literature

    def maps(self) -> Sequence[FeatureMap]:
        """One after the other, as of the other method."""
        return self.binary(self.options, {"share": 1.0}).maps(self.options)

    def architecture(self, points: Points) -> Architecture:
        """The map alone."""

        def build(_: Points) -> FeatureConvexModel:
            phi = Compose(*self.maps())
            size = math.prod(phi.output_shape(points.row_shape))
            return FeatureConvexModel(phi, MaxAffine(size, 1))

        return Architecture({self.name: build})


class CayleyClasses(NonexpansiveClasses):
    """After orthogonal layers."""

    binary = Cayley


class SLLClasses(NonexpansiveClasses):
    """After residual layers."""

    binary = SLL


class LinfDistanceClasses(NonexpansiveClasses):
    """After the hidden layers of distances."""

    binary = LinfDistance

    def maps(self) -> Sequence[FeatureMap]:
        """Without the last layer: half the difference of its two neurons is the score of one class."""
        return super().maps()[:-1]


class LinearClasses(NonexpansiveClasses):
    """Of the inputs themselves: linear classifiers of several classes."""

    binary = Linear
