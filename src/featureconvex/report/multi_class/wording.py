"""What the report of several classes says in words: the headline, the certificate, the levels."""

import numpy as np

from featureconvex.report.wording import LEVEL_NAMES, promise, rate_text
from featureconvex.results.columns import CLOSED_FORM
from featureconvex.results.multi_class.counts import class_counts
from featureconvex.results.multi_class.folder import ClassRun
from featureconvex.results.multi_class.metrics import nearest_rival
from featureconvex.results.numbers import percent, significant
from featureconvex.results.statistics.curves import median_radius

EFFECT = "turn the sample into another class"
MEANING = (
    "A certified radius is a proof about one sample, not the result of an attack that failed: every "
    "change of size strictly below the radius leaves the sample in the class it is recognised as, whoever "
    "makes it and however clever they are.",
    "Each class has a score, and the largest one names the class. The certificate compares the scores: "
    "how fast the sample's own can fall and how fast each other one can rise. The rival is the class that "
    "needs the smallest change by this account.",
    "Certified accuracy at radius r is the share of all test samples that are recognised as their own "
    "class and whose radius is at least r. At r = 0 it is the ordinary accuracy.",
)
LIMITS = (
    "Nothing about changes larger than the radius: they may or may not succeed.",
    "Nothing about samples that are taken for another class from the start: they are proved to stay there.",
    "Nothing about what a change of that size means: a small change in numbers can matter to a person, "
    "and a large one may not.",
    "Nothing certain about new samples: each proof is about its own test sample. The interval shown "
    "says how far the share among samples drawn like the test set may differ.",
)
_LEVEL_TEXTS = {
    "closed-form": (
        "The lead of the sample's class over a rival, divided by how fast that lead can shrink: the "
        "steepness of its own score at the sample, and of the rival's score anywhere. It asks nothing "
        "about which inputs can exist."
    ),
    "domain": (
        "The attacker is also held to pictures that can exist, with pixels between black and white, and "
        "every pixel is charged only for what it can really take away."
    ),
    "tight": (
        "Within a small change fewer units of the rival's network can switch, so its score is less steep "
        "there; a search looks for the largest change for which that is enough. It proves at least as "
        "much as the levels before and costs many passes per sample."
    ),
}
ROUNDING = (
    "Every rounding error on the way is counted and subtracted, at each level: the radii hold in exact "
    "arithmetic for the stored numbers of the model."
)


def class_level_text(level: str) -> str:
    """What a level of certificate does for several classes."""
    return _LEVEL_TEXTS[level]


def class_headline(run: ClassRun) -> list[str]:
    """The result in a few sentences that need no prior knowledge."""
    counts, n = class_counts(run.points, run.classes), len(run.points)
    hits = int(counts.table.trace())
    opening = f"Of {n} test sample{'' if n == 1 else 's'} of {len(run.classes)} classes, "
    if not hits:
        return [f"{opening}none is recognised as its own class, so there is nothing to certify."]
    column = run.whole.headline
    sentences = [
        f"{opening}{rate_text(hits, n, 'recognised as their own class')}, and for "
        f"{promise(run.whole, column, effect=EFFECT)}."
    ]
    return [*sentences, _weakest(run), *_other_levels(run)]


def _weakest(run: ClassRun) -> str:
    """The class that is recognised least; where all are, the one with the smallest median radius."""
    counts, column = class_counts(run.points, run.classes), run.whole.headline
    medians = [median_radius(run.of_class(name).rows, column.name) for name in run.classes]
    perfect = float(counts.by_class.min()) == 1
    worst = int(np.argmin(np.array(medians, dtype=float)) if perfect else counts.by_class.argmin())
    name, median = run.classes[worst], medians[worst]
    rival = nearest_rival(run.of_class(name), column)
    near = "" if rival is None else f", nearest to {rival!r} most often"
    radius = (
        ""
        if median is None
        else f"; its median {column.threat} radius is {significant(median)}{near}"
    )
    if perfect:
        return f"Every class is recognised without a mistake. The weakest is {name!r}{radius}."
    return (
        f"The class {name!r} is recognised least, {int(counts.table[worst, worst])} of "
        f"{int(counts.sizes[worst])} ({percent(float(counts.by_class[worst]))}){radius}."
    )


def _other_levels(run: ClassRun) -> list[str]:
    """What the best level above the closed form says, on the samples that it covers."""
    compared = run.compared
    column = compared.headline
    best = compared.levels(column.threat, column.unit)[-1]
    if best.level == CLOSED_FORM or not (compared.rows["predicted"] == 1).any():
        return []
    if not run.is_partial:
        level = LEVEL_NAMES[best.level]
        return [f"With the {level} certificate: for {promise(compared, best, effect=EFFECT)}."]
    radii = [significant(median_radius(compared.rows, c.name)) for c in (best, column)]
    return [
        f"On the first {len(compared.rows)} of them the {LEVEL_NAMES[best.level]} certificate has a median "
        f"{column.threat} radius of {radii[0]}, and the closed form {radii[1]}."
    ]
