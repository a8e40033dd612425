"""What a comparison's page says in words."""

from featureconvex.baselines.description import setting_words
from featureconvex.certificates import Guarantee
from featureconvex.comparison.report.costs import cost_sentences
from featureconvex.comparison.report.lines import method_lines, norms, ran
from featureconvex.comparison.report.method_tables import CONVERTED, headline_setting
from featureconvex.comparison.schema import ComparisonTables, LevelTable, MethodTable
from featureconvex.report.wording import plural
from featureconvex.results.numbers import duration, percent, significant

_ONE_SIDED = (
    "Certified accuracy at radius r: the share of the sensitive test points that a method flags and "
    "certifies for at least r. At 0: certified for any positive radius. Where a method abstains, "
    "nothing is certified.",
    "Area: under the certified curve, up to the end of the axis; a mean radius over all sensitive "
    "test points, cut off there. Best setting: the one with the largest area in the norm shown. "
    "Whoever deploys one setting must pick it without these test points.",
    "Thresholds are balanced on validation points, the same way for every method. Certificates are "
    "one-sided: only points of the sensitive class are certified and counted.",
)
_EACH_ITS_OWN = (
    "Certified accuracy at radius r: the share of all test points that a method recognises as their own "
    "class and certifies to stay there for at least r. At 0: certified for any positive radius. Where a "
    "method abstains, nothing is certified.",
    "Area: under the certified curve, up to the end of the axis; a mean radius over all test points, 0 "
    "where the class is wrong, cut off there. Best setting: the one with the largest area in the norm "
    "shown. Whoever deploys one setting must pick it without these test points.",
    "A certificate holds against every other class. Medians are over the points that are recognised.",
)
GUARANTEES = {
    Guarantee.deterministic: "a proof, computed in floating point, so off by rounding",
    Guarantee.sound: "a proof that holds for the stored numbers, rounding included",
    Guarantee.probabilistic: (
        "true with the method's confidence over its own random samples, for each point on its own; "
        "the classifier that is certified is itself a vote over noise"
    ),
    Guarantee.empirical: "no attack succeeded; nothing is proved",
}
CONVERSION = (
    "certified in another norm and shown here by norm equivalence: a ball of this norm that lies "
    f"inside the certified one; marked {CONVERTED} in tables"
)


def meaning(tables: ComparisonTables) -> tuple[str, ...]:
    """What the numbers are."""
    return _EACH_ITS_OWN if "classes" in tables else _ONE_SIDED


def opening(tables: ComparisonTables) -> list[str]:
    """The first sentences: who certifies most in each norm, and what sampling costs."""
    found = tables["ordering"]
    if not found:
        return ["No method gave a certificate."]
    return [*(found[norm]["sentences"][0] for norm in norms(tables)), *cost_sentences(tables)]


def failures(tables: ComparisonTables) -> list[tuple[str, str]]:
    """The methods and settings that are left out, each with its reason."""
    methods = tables["methods"].values()
    whole = [(m["title"], m["reason"]) for m in methods if "reason" in m]
    return whole + [
        (f"{m['title']}, {setting_words(failed['setting'])}", failed["reason"])
        for m in methods
        for failed in m.get("failed", [])
    ]


def unavailable(tables: ComparisonTables) -> list[tuple[str, str]]:
    """The levels that refused a model, each with its reason."""
    return [
        (", ".join(filter(None, (method["title"], setting_words(s["setting"]), level))), reason)
        for method in tables["methods"].values()
        for s in method.get("settings", [])
        for level, reason in s["unavailable"].items()
    ]


def literature(tables: ComparisonTables) -> list[dict[str, str]]:
    """What each method's paper reports on the nearest comparable task, beside what it reached here."""
    best = {
        norm: {line.method: line for line in method_lines(tables, norm)} for norm in norms(tables)
    }
    cards = []
    for name, method in tables["methods"].items():
        card = {"title": method["title"], "there": method["literature"]}
        if name not in ran(tables):
            cards.append(card | {"here": f"nothing: {method.get('reason', 'no certificate')}"})
            continue
        setting = headline_setting(method)
        lines = [
            (norm, best[norm][name]) for norm in norms(tables) if norm in method["native_norm"]
        ]
        medians = "; ".join(
            f"{significant(line.median)} at {percent(line.clean_accuracy)} clean "
            f"({norm}{_at(line.setting)})"
            for norm, line in lines
        )
        epochs = setting["facts"].get("epochs", "–")
        each = " each" if len({line.setting for _, line in lines}) > 1 else ""
        trained = f"{epochs} epoch{plural(epochs)}{each}, {duration(setting['train_seconds'])}"
        here = f"median radius {medians}; {trained}"
        cards.append(card | {"here": here})
    return cards


def guarantees(tables: ComparisonTables) -> list[tuple[str, str]]:
    """The kinds of guarantee that occur, each with what it means."""
    used = {level["guarantee"] for m in tables["methods"].values() for level in _levels(m)}
    kinds = [(str(kind), text) for kind, text in GUARANTEES.items() if str(kind) in used]
    return [*kinds, ("converted", CONVERSION)] if _any_converted(tables) else kinds


def _levels(method: MethodTable) -> list[LevelTable]:
    return [level for s in method.get("settings", []) for level in s["levels"].values()]


def _any_converted(tables: ComparisonTables) -> bool:
    return any(
        any(level["converted"].values()) for m in tables["methods"].values() for level in _levels(m)
    )


def _at(setting: str) -> str:
    return f", {setting}" if setting else ""
