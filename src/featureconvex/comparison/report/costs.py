"""What a certificate costs: seconds, passes, training, all measured in the same run."""

from featureconvex.baselines.description import setting_words
from featureconvex.certificates import Guarantee
from featureconvex.comparison.report.lines import ran
from featureconvex.comparison.report.method_tables import headline_setting
from featureconvex.comparison.schema import ComparisonTables, MethodTable, SettingTable
from featureconvex.report.table import Table
from featureconvex.results.numbers import duration, significant

SECONDS = "seconds"


def runtime_table(tables: ComparisonTables) -> Table:
    """Per method and level at its overall setting: time, ratio to the reference, training."""
    rows = [
        (method, headline_setting(method), level)
        for method in ran(tables).values()
        for level in headline_setting(method)["levels"]
    ]
    return _table(tables, rows)


def every_runtime_table(tables: ComparisonTables) -> Table:
    """The same for every setting."""
    rows = [
        (method, setting, level)
        for method in ran(tables).values()
        for setting in method["settings"]
        for level in setting["levels"]
    ]
    return _table(tables, rows)


def cost_sentences(tables: ComparisonTables) -> list[str]:
    """How many times the reference's seconds a certificate by sampling takes; none without either."""
    reference = tables["reference"]
    sampling = [m for m in ran(tables).values() if m["guarantee"] == Guarantee.probabilistic]
    if not reference["seconds_per_certificate"] or not sampling:
        return []
    said = [
        f"{method['title']} {times(method['cost_ratio'])}{_further(method, tables)}"
        for method in sampling
    ]
    words = setting_words(reference["setting"] or {})
    return [
        f"Time of one certificate by {tables['samples']:,} samples, as a multiple of one of "
        f"{reference['method']} ({reference['level']}), each in the fastest step of its fastest setting "
        f"({words}: {duration(reference['seconds_per_certificate'])}): {'; '.join(said)}."
    ]


def _further(method: MethodTable, tables: ComparisonTables) -> str:
    """The method's other times: ``(450 between the settings below, 420,000 with fresh noise)``."""
    setting, ours = headline_setting(method), tables["methods"][tables["reference"]["method"]]
    level, own = tables["reference"]["level"], next(iter(method["levels"]))
    shown = setting["levels"][own]["seconds_per_certificate"]
    beside = headline_setting(ours)["levels"][level]["seconds_per_certificate"]
    found = [
        f"{times(shown / beside)} between the settings of the table",
        *(
            f"{ratio(value, tables)} {_words(name).removeprefix(SECONDS).strip()}"
            for name, value in setting["measurements"].items()
            if name.startswith(SECONDS)
        ),
    ]
    return f" ({', '.join(found)})"


def ratio(seconds: float, tables: ComparisonTables) -> str:
    """Seconds over the reference's, in words; a dash without a reference."""
    base = tables["reference"]["seconds_per_certificate"]
    return times(seconds / base if base else None)


def times(value: float | None) -> str:
    """A multiple with three significant digits.

    >>> times(24013.0), times(0.6), times(None)
    ('24,000', '0.6', '–')
    """
    if value is None or abs(value) < 1000:
        return significant(value)
    return f"{float(f'{value:.3g}'):,.0f}"


def _table(tables: ComparisonTables, rows: list[tuple[MethodTable, SettingTable, str]]) -> Table:
    """The measurements any method reports become columns; those in seconds with their ratio."""
    measured = list(
        dict.fromkeys(name for _, setting, _ in rows for name in setting["measurements"])
    )
    body = []
    for method, setting, level in rows:
        seconds = setting["levels"][level]["seconds_per_certificate"]
        body.append(
            [
                method["title"],
                level,
                duration(seconds),
                ratio(seconds, tables),
                *(
                    _measurement(setting["measurements"].get(name), name, tables)
                    for name in measured
                ),
                duration(setting["train_seconds"]),
                str(setting["facts"].get("epochs", "–")),
                setting_words(setting["setting"]) or "–",
                method["passes"],
            ]
        )
    head = ["method", "level", "one certificate", "ratio", *map(_words, measured)]
    return Table([*head, "training", "epochs", "setting", "one certificate takes"], body)


def _measurement(value: float | None, name: str, tables: ComparisonTables) -> str:
    if value is None:
        return "–"
    if name.startswith(SECONDS):
        return f"{duration(value)} (ratio {ratio(value, tables)})"
    return f"{value:,.0f}" if float(value).is_integer() else significant(value)


def _words(name: str) -> str:
    """``seconds_with_fresh_noise`` as a reader sees it."""
    return name.replace("_", " ")
