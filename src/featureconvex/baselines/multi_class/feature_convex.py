"""``feature-convex`` for several classes: a convex network per class, at every level with a proof."""

import math
from typing import ClassVar

import torch
from torch import Tensor

from featureconvex.baselines.feature_convex import FeatureConvex
from featureconvex.baselines.method import Options, Radii, Setting
from featureconvex.baselines.multi_class.scores import SHARES, ScoreMethod
from featureconvex.certificates import Guarantee
from featureconvex.certificates.levels import Sound
from featureconvex.device import device
from featureconvex.errors import UserError
from featureconvex.norms import norm_name
from featureconvex.results.columns import CLOSED_FORM
from featureconvex.training.architectures import (
    HEAD,
    TABLE_HIDDEN,
    Architecture,
    class_architecture,
    table_architecture,
    table_map,
)
from featureconvex.training.points import Points

COVERED = 100
"""The first test points that levels above the closed form certify: they take up to a second for a point."""


class FeatureConvexClasses(ScoreMethod):
    """Convex scores, affine ones in linf, after the map that recipe ``default`` learns for the norm.

    Levels above the closed form are about the first :data:`COVERED` test points. Level ``sound`` is the
    closed form again, about the class that the stored model computes in its own precision.
    """

    name = FeatureConvex.name
    title = FeatureConvex.title
    native_norms: ClassVar[tuple[float, ...]] = (1.0, 2.0, math.inf)
    levels: ClassVar[dict[str, Guarantee]] = {
        CLOSED_FORM: Guarantee.deterministic,
        "domain": Guarantee.deterministic,
        "sound": Guarantee.sound,
        "tight": Guarantee.deterministic,
    }
    literature = "None for several classes: the certificates of arXiv 2302.01961 are of one class."
    hidden = None

    @classmethod
    def settings(cls, options: Options) -> list[Setting]:
        """Each norm at each temperature, of images in linf also with convex scores."""
        convex: list[Setting] = [
            {"norm": norm_name(math.inf), "share": share, "head": "convex"} for share in SHARES
        ]
        return [*super().settings(options), *(convex if options.image else [])]

    def architecture(self, points: Points) -> Architecture:
        """What ``featureconvex run --multi-class own`` trains, or the same with convex scores."""
        place = device(self.options.device)
        if not self.options.image:
            return table_architecture(points.x, TABLE_HIDDEN, place, table_map(self.norm))[0]
        shape, task = self.options.shape, self.options.task
        head = HEAD if self.setting.get("head") == "convex" else None
        return class_architecture(shape, task, self.norm, place, head)

    def covers(self, level: str) -> int | None:
        """All for the closed form."""
        return None if level == CLOSED_FORM else COVERED

    def certify(self, x: Tensor, level: str) -> Radii:
        """As for all scores.

        Raises:
            UserError: level ``domain`` where it is the closed form.
        """
        coordinatewise = self.trained().feature_map.coordinatewise
        if level == "domain" and not (self.options.image and coordinatewise):
            raise UserError(
                "after a map that mixes coordinates, and without ranges of a table, it is the closed form"
            )
        if level == "sound":
            computed = torch.finfo(self.trained().dtype).dtype
            return self.certified(x, Sound(CLOSED_FORM, arithmetic=computed))
        return super().certify(x, level)
