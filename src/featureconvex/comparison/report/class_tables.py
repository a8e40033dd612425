"""Tables of a comparison of several classes: recall and radius of each, and what higher levels add."""

from featureconvex.baselines.description import setting_words
from featureconvex.comparison.ranking import first_level
from featureconvex.comparison.report.lines import method_lines, norms, ran
from featureconvex.comparison.schema import ComparisonTables, LevelTable
from featureconvex.report.table import Table
from featureconvex.results.numbers import percent, significant

NONE = "–"


def class_tables(tables: ComparisonTables) -> list[tuple[str, Table]]:
    """Per norm a row for each class and a column for each method certified in it, at its best setting.

    Recall, and the median radius of the points recognised; empty with a sensitive class.
    """
    classes = tables.get("classes", [])
    found = []
    for norm in norms(tables) if classes else []:
        lines = [line for line in method_lines(tables, norm) if not line.converted]
        body = [[name] for name in classes]
        for line in lines:
            setting = tables["methods"][line.method]["settings"][line.place]
            medians = setting["levels"][line.level].get("median_by_class", {}).get(norm, {})
            for name, row in zip(classes, body, strict=True):
                recall = setting["accuracy_by_class"][name]
                row.append(
                    NONE
                    if recall is None
                    else f"{percent(recall)}, {significant(medians.get(name))}"
                )
        if lines:
            found.append((norm, Table(["class", *(line.name for line in lines)], body)))
    return found


def gain_table(tables: ComparisonTables) -> Table | None:
    """Per setting and level above the first how much larger the mean radius is; None without any."""
    columns = norms(tables)
    body = []
    for method in ran(tables).values():
        for setting in method["settings"]:
            for name, level in setting["levels"].items():
                if name != first_level(method) and "gain" in level:
                    points = level.get("n_points", tables["n_test"])
                    own = [_added(level, norm) for norm in columns]
                    body.append(
                        [
                            method["title"],
                            setting_words(setting["setting"]),
                            name,
                            str(points),
                            *own,
                        ]
                    )
    head = ["method", "setting", "level", "first points", *columns]
    return Table(head, body) if body else None


def _added(level: LevelTable, norm: str) -> str:
    value = level.get("gain", {}).get(norm)
    return NONE if value is None else f"{100 * value:+.1f} %"
