"""Where convexity costs accuracy, against boosted trees, and what tells it before training."""

from featureconvex.study.generalisation.figure import figure
from featureconvex.study.generalisation.grid import cells, work
from featureconvex.study.generalisation.summary import summary
from featureconvex.study.study import Study

STUDY = Study("generalisation", cells, work, summary, figure)
