"""The certification levels: each an object that owns its options.

``fc.certify(model, x, level=Tight(iterations=40))``; a name stands for the level with its defaults.
"""

from featureconvex.certificates.levels.base import Level
from featureconvex.certificates.levels.closed_form import ClosedForm
from featureconvex.certificates.levels.domain_aware import Domain
from featureconvex.certificates.levels.named import LEVELS, level_named, parse_level, refuse_options
from featureconvex.certificates.levels.problem import Bound, Problem, Proof
from featureconvex.certificates.levels.sound import Sound
from featureconvex.certificates.levels.tight import Tight

__all__ = [
    "LEVELS",
    "Bound",
    "ClosedForm",
    "Domain",
    "Level",
    "Problem",
    "Proof",
    "Sound",
    "Tight",
    "level_named",
    "parse_level",
    "refuse_options",
]
