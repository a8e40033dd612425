"""The main job for several classes, each of which is to stay what it is."""

from featureconvex.experiment.multi_class.run import run_classes
from featureconvex.experiment.multi_class.settings import ClassSettings

__all__ = ["ClassSettings", "run_classes"]
