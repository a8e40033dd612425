"""The soundness campaign: every way to certify, attacked just inside every radius, judged exactly.

``Campaign(folder, Plan(seed=0)).run(1_000_000)``; the command is ``benchmarks/soundness/soundness.py``.
"""

from featureconvex.testing.soundness.campaign import Campaign, Outcome, Plan
from featureconvex.testing.soundness.cases.case import Case, Claim
from featureconvex.testing.soundness.cases.random import random_case
from featureconvex.testing.soundness.shard import Shard
from featureconvex.testing.soundness.tally import Tally, TallyRow
from featureconvex.testing.soundness.verdict.bounded_margin import BoundedMargin
from featureconvex.testing.soundness.verdict.judge import Judge

__all__ = [
    "BoundedMargin",
    "Campaign",
    "Case",
    "Claim",
    "Judge",
    "Outcome",
    "Plan",
    "Shard",
    "Tally",
    "TallyRow",
    "random_case",
]
