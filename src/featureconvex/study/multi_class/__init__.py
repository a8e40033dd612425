"""``featureconvex study multi-class``: ten classes at once, each its own, against detectors of sets."""

from featureconvex.study.multi_class.figure import figure
from featureconvex.study.multi_class.grid import cells, work
from featureconvex.study.multi_class.summary import summary
from featureconvex.study.study import Study

STUDY = Study("multi-class", cells, work, summary, figure)

__all__ = ["STUDY"]
