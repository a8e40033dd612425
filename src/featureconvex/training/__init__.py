"""Training: objectives, the loop, temperature, calibration, recipes."""

from featureconvex.training.augmentation import Augmentation
from featureconvex.training.calibration import Calibration, at_false_positive_rate, balanced
from featureconvex.training.fit import Fitted, fit
from featureconvex.training.loop import train
from featureconvex.training.points import Points
from featureconvex.training.recipes import Recipe, default, paper

__all__ = [
    "Augmentation",
    "Calibration",
    "Fitted",
    "Points",
    "Recipe",
    "at_false_positive_rate",
    "balanced",
    "default",
    "fit",
    "paper",
    "train",
]
