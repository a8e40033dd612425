"""The soundness campaign: every way to certify, attacked just inside every radius, judged exactly.

``Campaign(folder, Plan(seed=0)).run(1_000_000)``; the command is ``benchmarks/soundness.py``.
"""

from featureconvex.testing.soundness.bounded_margin import BoundedMargin
from featureconvex.testing.soundness.campaign import Campaign, Outcome, Plan
from featureconvex.testing.soundness.case import Case, Claim
from featureconvex.testing.soundness.judge import Judge
from featureconvex.testing.soundness.random_cases import random_case
from featureconvex.testing.soundness.shard import Shard
from featureconvex.testing.soundness.tally import Line, Tally

__all__ = [
    "BoundedMargin",
    "Campaign",
    "Case",
    "Claim",
    "Judge",
    "Line",
    "Outcome",
    "Plan",
    "Shard",
    "Tally",
    "random_case",
]
