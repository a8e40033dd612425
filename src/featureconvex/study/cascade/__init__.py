"""A convex detector in front of an ordinary classifier of families, as the paper has it for malware."""

from featureconvex.study.cascade.figure import figure
from featureconvex.study.cascade.grid import cells, summary, work
from featureconvex.study.study import Study

STUDY = Study("cascade", cells, work, summary, figure)
