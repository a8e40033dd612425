"""All ordered pairs of classes: accuracy, radius, and what of the classes predicts the radius."""

from featureconvex.study.pairs.figure import figure
from featureconvex.study.pairs.grid import cells, work
from featureconvex.study.pairs.summary import summary
from featureconvex.study.study import Study

STUDY = Study("pairs", cells, work, summary, figure)
