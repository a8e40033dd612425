"""What the report says in words: the headline, the certificate, the threats, the levels, the threshold."""

import math

from featureconvex.results.columns import RAW, STD, RadiusColumn
from featureconvex.results.folder import Run
from featureconvex.results.numbers import percent
from featureconvex.results.radius_rows import RadiusRows
from featureconvex.results.record import Record, RunRecord
from featureconvex.results.statistics.curves import certified_counts, flagged_radii, round_down
from featureconvex.results.statistics.detection import confusion
from featureconvex.results.statistics.intervals import clopper_pearson
from featureconvex.results.warnings import FEW

LEVEL_NAMES = {
    "closed-form": "closed form",
    "domain": "domain-aware",
    "tight": "tight",
    "sound": "floating-point sound",
}
_LEVEL_TEXTS = {
    "closed-form": (
        "One pass through the detector gives its score at the sample and the steepness of the score "
        "there; because the score is convex, it cannot fall faster than that, so score divided by "
        "steepness is a safe distance. It asks nothing about which inputs can exist, and so also "
        "guards against changes that no attacker could make."
    ),
    "domain": (
        "{domain} is charged only for what it can really take away. It starts from the same single "
        "pass, and proves at least as much as the closed form; where a learned feature map mixes all "
        "{part}s it can use little of this, and often proves the same."
    ),
    "tight": (
        "For every sample a search looks for the lower bound of the score that proves the most, where "
        "the levels before take the first one at hand. It proves at least as much as the domain-aware "
        "level and costs many passes per sample."
    ),
    "sound": (
        "The other levels are computed with ordinary floating-point numbers, whose rounding could in "
        "principle certify slightly too much; this level bounds every rounding error and subtracts it. "
        "It is never larger than the level it is based on, and it is the one to quote where the "
        "guarantee must hold to the last digit."
    ),
}
MEANING = (
    "A certified radius is a proof about one sample, not the result of an attack that failed: every "
    "change of size strictly below the radius leaves the sample flagged, whoever makes it and however "
    "clever they are.",
    "Certified accuracy at radius r is the share of sensitive test samples that are flagged and whose "
    "radius is at least r. At r = 0 it is the ordinary detection rate.",
)
LIMITS = (
    "Nothing about changes larger than the radius: they may or may not succeed.",
    "Nothing about the other class: the certificate is one-sided, because nobody gains from being "
    "flagged.",
    "Nothing about sensitive samples that the detector misses from the start.",
    "Nothing about what a change of that size means: a small change in numbers can matter to a person, "
    "and a large one may not.",
    "Nothing certain about new samples: each proof is about its own test sample. The interval shown "
    "says how far the share among samples drawn like the test set may differ.",
)


# Where attackers may move above the closed form (`featureconvex.experiment.rows`).
_DOMAINS = {
    "image": (
        "The attacker is also held to pictures that can exist, with pixels between black and white, "
        "and every pixel"
    ),
    "table": (
        "The attacker could be held to rows that can exist; here every feature may take any value, and"
    ),
}


def level_text(level: str, kind: str) -> str:
    """What a level of certificate does, in two sentences, for data of a kind."""
    part = "pixel" if kind == "image" else "feature"
    return _LEVEL_TEXTS[level].format(domain=_DOMAINS[kind], part=part)


def unavailable_texts(record: RunRecord) -> list[str]:
    """One sentence for each level that refused the model, with its reason."""
    return [
        f"The {LEVEL_NAMES.get(level, level)} certificate was not computed: {reason.rstrip('.')}."
        for level, reason in (record.get("levels_unavailable") or {}).items()
    ]


def threat_text(threat: str, kind: str) -> str:
    """What the size of a change is in this threat model, in one phrase."""
    part = "pixel value" if kind == "image" else "feature"
    if threat == "l1":
        return f"the sum of the changes of every {part}"
    if threat == "l2":
        return f"the Euclidean length of the change (root of the summed squares over every {part})"
    if threat == "linf":
        return f"the largest change of any single {part}"
    if threat == "l0":
        return f"how many {part}s are changed, each by as much as the attacker likes"
    if threat.startswith("patch-"):
        size = threat.removeprefix("patch-")
        window = f"{size} x {size} pixels" if kind == "image" else f"{size} consecutive features"
        return f"a window of {window}, anywhere, rewritten at will"
    return f"the {threat} norm of the change"


def headline(run: Run) -> list[str]:
    """The result in two or three sentences that need no prior knowledge."""
    rows, record, column = run.rows, run.record, run.headline
    counts = confusion(rows)
    n_sensitive = counts.sensitive_flagged + counts.sensitive_missed
    n_other = counts.other_flagged + counts.other_passed
    opening = f"Of {n_sensitive} sensitive test sample{plural(n_sensitive)} ({record['sensitive_name']}), "
    mistakes = (
        f"Of {n_other} other sample{plural(n_other)} ({record['other_name']}), "
        f"{rate_text(counts.other_flagged, n_other, 'flagged by mistake')}."
    )
    if counts.sensitive_flagged == 0:
        return [f"{opening}none is flagged, so there is nothing to certify.", mistakes]
    sentences = [
        f"{opening}{rate_text(counts.sensitive_flagged, n_sensitive, 'flagged')}, and for "
        f"{promise(run, column)}.",
        mistakes,
    ]
    others = [c for c in run.levels(column.threat, column.unit) if c != column]
    searched = [c for c in others if c.level != "sound"]
    for best in (*searched[-1:], *(c for c in others if c.level == "sound")):
        name = LEVEL_NAMES[best.level]
        sentences.append(f"With the {name} certificate: for {promise(run, best)}.")
    return sentences


def calibration_text(record: Record) -> str:
    """Where the decision threshold comes from; the paper's protocol is named as such."""
    rule, on = record["calibration"]["rule"], record["calibration"]["on"]
    aim = "both classes have the same accuracy there"
    if rule == "balanced" and on == "test":
        return f"balanced on the evaluation points (paper protocol): {aim}"
    place = {
        "validation": "a validation split of the training data",
        "test": "the evaluation points",
        "training": "the training points themselves, as there are too few to hold any out",
    }[on]
    if rule == "balanced":
        return f"balanced on {place}: {aim}"
    target = percent(record["calibration"].get("target_fpr") or 0.0)
    return f"set on {place} so that at most {target} of the other class are flagged there"


def promise(
    run: RadiusRows,
    column: RadiusColumn,
    share: float = 0.8,
    effect: str = "make the flag go away",
) -> str:
    """``at least 80 % of those no change of l2 size below 0.9 can make the flag go away``."""
    radii = flagged_radii(run.rows, column.name)
    left_out = math.floor((1 - share) * len(radii) + 1e-9)
    radius = float(radii[left_out])
    most = f"at least {100 * share:.0f}\u00a0% of those"
    if len(radii) < FEW:
        most = f"{len(radii) - left_out} of those {len(radii)}"
    if radius == 0:
        certified = percent(certified_counts(radii, [5e-324])[0] / len(radii))
        return f"{certified} of those a positive {column.threat} radius is certified"
    if math.isinf(radius):
        return f"{most} no allowed change of any size can {effect}"
    shown = round_down(radius, 3)
    unit = " training standard deviations" if column.unit == STD else ""
    return (
        f"{most} no change of {column.threat} size below "
        f"{shown:g}{unit} can {effect}{_grey_levels(run, column, shown)}"
    )


def plural(n: int) -> str:
    """The ending of a noun."""
    return "" if n == 1 else "s"


def rate_text(count: int, n: int, what: str) -> str:
    """``99.5 % are flagged (95 % interval 97.2 % to 99.9 %)``; a count where there are few samples.

    The interval is the exact one of Clopper and Pearson for the rate.
    """
    low, high = (percent(float(end)) for end in clopper_pearson(count, n))
    shown = percent(count / n) if n >= FEW else str(count or "none")
    verb = "is" if n < FEW and count == 1 else "are"
    of = "" if n >= FEW else " of the rate"
    return f"{shown} {verb} {what} (95\u00a0% interval{of} {low} to {high})"


def _grey_levels(run: RadiusRows, column: RadiusColumn, radius: float) -> str:
    if run.record["kind"] != "image" or column.threat != "linf" or column.unit != RAW:
        return ""
    return f" ({255 * radius:.1f} of 255 grey levels, on every pixel at once)"
