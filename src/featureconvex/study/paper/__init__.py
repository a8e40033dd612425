"""The paper's figures and tables, remade from committed results, beside what the paper has."""

from featureconvex.study.paper.grid import cells, figure, further, summary, work
from featureconvex.study.study import Study

STUDY = Study("paper", cells, work, summary, figure, further)
