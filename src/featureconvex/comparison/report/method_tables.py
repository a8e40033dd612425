"""What the methods reach: the tables of accuracies, radii and areas."""

from collections.abc import Sequence

from featureconvex.comparison.report.line_radii import LineRadii
from featureconvex.comparison.report.lines import (
    MethodLine,
    all_lines,
    method_lines,
    norms,
    ran,
)
from featureconvex.comparison.report.words import points_words
from featureconvex.comparison.schema import ComparisonTables, MethodTable, SettingTable
from featureconvex.report.table import Table
from featureconvex.results.numbers import percent, significant

CONVERTED = "†"


def overview_table(tables: ComparisonTables) -> Table:
    """Per method: what its radii are, and the median radius at the best setting per norm.

    Each with the clean accuracy of that setting: the best one may differ from norm to norm.
    """
    columns = norms(tables)
    best = {norm: {x.method: x for x in method_lines(tables, norm)} for norm in columns}
    body = []
    for name, method in ran(tables).items():
        lines = [best[norm][name] for norm in columns]
        body.append(
            [
                _method_words(tables, best[columns[0]][name]),
                method["guarantee"],
                ", ".join(method["native_norm"]),
                *(f"{_median(line)} at {percent(line.clean_accuracy)}" for line in lines),
            ]
        )
    medians = (f"median {norm}, clean accuracy" for norm in columns)
    return Table(["method", "guarantee", "certified in", *medians], body)


def norm_table(results: LineRadii, norm: str) -> Table:
    """Every method at its best setting in one norm, the largest area first."""
    return _table(results, norm, method_lines(results.tables, norm), levels=False)


def every_table(results: LineRadii, norm: str) -> Table:
    """Every setting at every level in one norm, method by method."""
    return _table(results, norm, all_lines(results.tables, norm), levels=True)


def headline_setting(method: MethodTable) -> SettingTable:
    """The setting a method's overall numbers are of: the best one in its own norm, l2 if it has it."""
    native = "l2" if "l2" in method["native_norm"] else method["native_norm"][0]
    wanted = method["best_setting"][native]
    return next(s for s in method["settings"] if s["setting"] == wanted)


def accuracies(tables: ComparisonTables, setting: SettingTable) -> list[str]:
    """Clean accuracy in words: of both classes, of the sensitive one, of the other; the least of many."""
    by_class = setting["accuracy_by_class"]
    if "classes" in tables:
        known = {name: recall for name, recall in by_class.items() if recall is not None}
        worst = min(known, key=lambda name: known[name])
        return [percent(setting["clean_accuracy"]), f"{percent(known[worst])} ({worst})"]
    values = (setting["clean_accuracy"], by_class["sensitive"], by_class["other"])
    return ["–" if value is None else percent(value) for value in values]


def accuracy_head(tables: ComparisonTables) -> list[str]:
    """The columns of :func:`accuracies`."""
    if "classes" in tables:
        return ["clean accuracy", "class recognised least"]
    return [
        "clean accuracy",
        f"{tables['sensitive_name']} (sensitive)",
        f"{tables['other_name']} (other)",
    ]


def _table(results: LineRadii, norm: str, lines: Sequence[MethodLine], levels: bool) -> Table:
    tables = results.tables
    radii = tables["ordering"][norm]["radii"]
    settings = {name: method.get("settings", []) for name, method in tables["methods"].items()}
    body = []
    for line in lines:
        shares = (percent(results.share(line, norm, radius)) for radius in radii)
        body.append(
            [
                _method_words(tables, line)
                if not levels
                else tables["methods"][line.method]["title"],
                *([f"{line.level}{_points_words(tables, line)}"] if levels else []),
                _worth(tables, line, norm),
                _median(line),
                *shares,
                significant(line.area),
                *accuracies(tables, settings[line.method][line.place]),
                line.setting or "–",
            ]
        )
    certified = [f"{norm} ≥ {significant(radius)}" for radius in radii]
    head = ["method", *(["level"] if levels else []), "radii are", "median radius", *certified]
    return Table([*head, "area", *accuracy_head(tables), "setting"], body)


def _method_words(tables: ComparisonTables, line: MethodLine) -> str:
    return f"{tables['methods'][line.method]['title']}{_points_words(tables, line)}"


def _points_words(tables: ComparisonTables, line: MethodLine) -> str:
    """In brackets, which points a line is about; nothing where it is about all that count."""
    return "" if line.points is None else f" (first {line.points} {points_words(tables)})"


def _worth(tables: ComparisonTables, line: MethodLine, norm: str) -> str:
    """What a radius is: its guarantee, and where it was converted from."""
    native = tables["methods"][line.method]["native_norm"]
    converted = f", converted from {' or '.join(native)}" if norm not in native else ""
    return f"{line.guarantee}{converted}"


def _median(line: MethodLine) -> str:
    return significant(line.median) + (CONVERTED if line.converted else "")
