"""The certification levels, each an object that owns its options; see :func:`featureconvex.certify`.

>>> Sound(base=Tight(iterations=40), arithmetic="float32").name
'sound'
"""

from featureconvex.certificates.levels import (
    LEVELS,
    Bound,
    ClosedForm,
    Domain,
    Level,
    Problem,
    Proof,
    Sound,
    Tight,
    level_named,
    parse_level,
)

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
]
