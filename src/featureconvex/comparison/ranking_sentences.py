"""The ordering of a comparison in sentences, each computed from its numbers."""

from collections.abc import Sequence

from featureconvex.baselines.description import setting_words
from featureconvex.baselines.method import Setting
from featureconvex.comparison.schema import Difference, Ordering
from featureconvex.results.numbers import significant

NOWHERE = "nowhere"


def ordering_sentences(
    norm: str, found: Ordering, titles: dict[str, str], reference: str
) -> list[str]:
    """Which method certifies most in ``norm``, and where the reference leads and where not.

    Args:
        norm: ``"l1"``, ``"l2"`` or ``"linf"``.
        found: one norm's ordering, see :func:`featureconvex.comparison.ranking.derive_ordering`.
        titles: of the methods, by name.
        reference: the name of the method the others are held against.
    """
    said = [_largest(norm, found, titles)]
    if found.get("against"):
        said += [_leads(found, titles, reference), *_against_each(found, titles)]
        said += _own_settings(found, titles)
    return said


def radii_words(runs: Sequence[Sequence[float]], most: int = 3) -> str:
    """Stretches of radii in words.

    >>> radii_words([[0.0, 1.2], [2.0, 2.0]]), radii_words([])
    ('0 to 1.2 and 2', 'nowhere')
    >>> radii_words([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [6.0, 7.0]])
    '0 to 1, 2 to 3, 4 to 5 and 1 more stretch up to 7'
    """
    if not runs:
        return NOWHERE
    words = [
        significant(a) if a == b else f"{significant(a)} to {significant(b)}"
        for a, b in runs[:most]
    ]
    rest = len(runs) - most
    if rest > 0:
        stretches = "stretch" if rest == 1 else "stretches"
        words.append(f"{rest} more {stretches} up to {significant(runs[-1][1])}")
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def with_setting(title: str, setting: Setting) -> str:
    """A method's title with its setting in brackets, where it has one."""
    words = setting_words(setting)
    return f"{title} ({words})" if words else title


def _largest(norm: str, found: Ordering, titles: dict[str, str]) -> str:
    native = [e for e in found["areas"] if not e["converted"]]
    if not native:
        return f"No method is certified in {norm} itself; every curve is converted."
    first, *rest = native
    name = with_setting(titles[first["method"]], first["setting"])
    area = significant(first["area"])
    if not rest:
        said = f"{name} is the only method certified in {norm} itself, with an area of {area}"
    else:
        second = with_setting(titles[rest[0]["method"]], rest[0]["setting"])
        said = (
            f"Of {len(native)} methods certified in {norm} itself, {name} has the largest area under "
            f"its curve, {area}, before {second} with {significant(rest[0]['area'])}"
        )
    larger = [e for e in found["areas"] if e["converted"] and e["area"] > first["area"]]
    if larger:
        names = _listed([titles[e["method"]] for e in larger])
        said += f"; converted from another norm, {names} has more, {significant(larger[0]['area'])}"
    return said + "."


def _leads(found: Ordering, titles: dict[str, str], reference: str) -> str:
    leads = found["reference_leads"]
    name = with_setting(titles[reference], found["reference_setting"])
    said = f"At its best setting, {name} nowhere certifies the largest share alone"
    if leads["alone"]:
        where = radii_words(leads["alone"])
        said = f"At its best setting, {name} certifies the largest share alone at radii {where}"
    if leads["shared"]:
        said += f", shares the lead at {radii_words(leads['shared'])}"
    tail = "none beats it"
    if leads["behind"]:
        tail = f"another method certifies more at {radii_words(leads['behind'])}"
    return f"{said}; {tail} (radii up to {significant(found['up_to'])} compared)."


def _against_each(found: Ordering, titles: dict[str, str]) -> list[str]:
    """Against each method at its best setting; then with the setting chosen anew for each radius."""
    clear, within, never = [], [], []
    for name, entry in found["against"].items():
        title, pair = titles[name], entry["best"]
        if pair["lag"] is None:
            never.append(title)
        elif pair["clearly_behind"]:
            where = radii_words(pair["clearly_behind"])
            clear.append(f"{title} at {where} ({_points(pair['lag'])})")
        else:
            within.append(f"{title} ({_points(pair['lag'])})")
    said = []
    if clear:
        said.append(
            f"It is behind, the 95 % intervals not touching (most, in percentage points): {_listed(clear)}."
        )
    if within:
        said.append(
            f"It is behind somewhere, with intervals that overlap (percentage points): {_listed(within)}."
        )
    if never:
        said.append(f"It is nowhere behind: {_listed(never)}.")
    return [*said, *_free_choice(found, titles)]


def _free_choice(found: Ordering, titles: dict[str, str]) -> list[str]:
    free = {k: e["any_setting"] for k, e in found["against"].items() if "any_setting" in e}
    if not free:
        return []
    opening = "If those with several settings may choose anew at every radius, it is"
    worse = [
        f"{titles[name]} at {radii_words(d['behind'])}" for name, d in free.items() if d["behind"]
    ]
    return [f"{opening} behind {_listed(worse)}." if worse else f"{opening} behind none of them."]


def _own_settings(found: Ordering, titles: dict[str, str]) -> list[str]:
    """Where the reference's other settings stand among the best ones of the other methods."""
    said = []
    for entry in found["own_settings"]:
        if entry["setting"] == found["reference_setting"]:
            continue
        behind = [titles[name] for name in entry["behind"]]
        place = f"behind {_listed(behind)}" if behind else "before every other method"
        words = setting_words(entry["setting"])
        said.append(f"With {words} its area is {significant(entry['area'])}, {place}.")
    return said


def _points(lag: Difference) -> str:
    """``15.5 at 1.89``."""
    return f"{100 * lag['difference']:.1f} at {significant(lag['radius'])}"


def _listed(names: list[str]) -> str:
    """Names with semicolons, for titles hold commas."""
    return "; ".join(names)
