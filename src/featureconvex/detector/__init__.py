"""What :func:`featureconvex.load` returns for a run: the model, and what its inputs and classes are."""

from featureconvex.detector.class_detector import ClassDetector
from featureconvex.detector.described import Described
from featureconvex.detector.detector import Detector
from featureconvex.detector.table import with_table

__all__ = ["ClassDetector", "Described", "Detector", "with_table"]
