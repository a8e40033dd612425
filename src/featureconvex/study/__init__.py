"""The paper's experiments and its open questions, each a command that can be killed and goes on."""

from featureconvex.study.registry import find_study
from featureconvex.study.run import run_study

__all__ = ["find_study", "run_study"]
