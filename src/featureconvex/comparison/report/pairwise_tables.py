"""Where the reference leads and where not, as tables and sentences; all numbers from the ordering."""

from collections.abc import Iterator

from featureconvex.baselines.description import setting_words
from featureconvex.comparison.ranking_sentences import radii_words
from featureconvex.comparison.schema import Against, ComparisonTables, Difference, Ordering, Pair
from featureconvex.report.table import Table
from featureconvex.results.numbers import significant

ANY = "the best at each radius"


def pairwise_table(
    tables: ComparisonTables, norm: str, every_setting: bool = False
) -> Table | None:
    """The reference's best curve against every other method's; None without a reference or others.

    Args:
        tables: what ``comparison.json`` holds.
        norm: of the radii.
        every_setting: one row per setting of the methods that have several, and one for the best
            of them at each radius, instead of one row per method at its best setting.
    """
    found = tables["ordering"][norm]
    if not found.get("against"):
        return None
    name = tables["reference"]["method"]
    rows = _every(tables, found) if every_setting else _best(tables, found)
    head = [
        "against",
        "setting",
        f"{name} ahead at",
        f"{name} behind at",
        "intervals apart, ahead",
        "intervals apart, behind",
        "largest lead",
        "largest lag",
        "radii are",
    ]
    body = list(rows)
    return Table(head, body) if body else None


def leaders_table(tables: ComparisonTables, norm: str) -> Table:
    """Which method certifies most at which radii, every method at its best setting."""
    titles = {name: method["title"] for name, method in tables["methods"].items()}
    body = [
        [
            radii_words([[stretch["from"], stretch["to"]]]),
            "; ".join(titles[name] for name in stretch["methods"]),
        ]
        for stretch in tables["ordering"][norm]["leaders"]
    ]
    return Table([f"{norm} radius", "certifies most"], body)


def _best(tables: ComparisonTables, found: Ordering) -> Iterator[list[str]]:
    settings = {entry["method"]: entry["setting"] for entry in found["areas"]}
    for name, entry in found["against"].items():
        words = setting_words(settings[name]) or "–"
        yield _row(tables["methods"][name]["title"], words, entry, entry["best"])


def _every(tables: ComparisonTables, found: Ordering) -> Iterator[list[str]]:
    for name, entry in found["against"].items():
        title = tables["methods"][name]["title"]
        for pair in entry.get("settings", []):
            yield _row(title, setting_words(pair["setting"]), entry, pair)
        if "any_setting" in entry:
            yield _row(title, ANY, entry, entry["any_setting"])


def _row(title: str, setting: str, entry: Against, pair: Pair) -> list[str]:
    places = (pair["ahead"], pair["behind"], pair["clearly_ahead"], pair["clearly_behind"])
    return [
        title,
        setting,
        *map(radii_words, places),
        *map(_difference, (pair["lead"], pair["lag"])),
        "converted" if entry["converted"] else "its own",
    ]


def _difference(most: Difference | None) -> str:
    """``15.5 points at 1.89``; a dash where there is none."""
    if most is None:
        return "–"
    return f"{100 * most['difference']:.1f} points at {significant(most['radius'])}"
