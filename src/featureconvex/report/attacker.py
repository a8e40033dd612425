"""The section of a report that states the attacker: budgets, rows most at risk, columns, baselines."""

from dataclasses import dataclass

from featureconvex.report.table import Table
from featureconvex.report.wording import LEVEL_NAMES, plural
from featureconvex.results.folder import Run
from featureconvex.results.numbers import percent, significant
from featureconvex.results.review import AtRisk, Budget, ColumnReview, Review
from featureconvex.results.statistics.detection import area_under_curve, confusion
from featureconvex.results.strict_json import Number


@dataclass(frozen=True)
class AttackerSection:
    """What the template shows.

    Attributes:
        sentence: who the attacker is.
        budgets: what the certificates say of it, a sentence each.
        at_risk, columns, accuracy: tables; None where there is nothing to show.
    """

    sentence: str
    budgets: list[str]
    at_risk: Table | None
    columns: Table | None
    accuracy: Table


def attacker_section(review: Review, run: Run) -> AttackerSection:
    """The words and tables of ``attacker.json``."""
    return AttackerSection(
        review["sentence"],
        budget_sentences(review),
        _at_risk(review["at_risk"], review["budgets"], run) if review["at_risk"] else None,
        _columns(review["columns"]) if review["columns"] else None,
        _accuracy(review, run),
    )


def budget_sentences(review: Review) -> list[str]:
    """What the certificates say of the attacker's budgets."""
    name = LEVEL_NAMES[review["level"]]
    return [_budget(budget, review["flagged"], name) for budget in review["budgets"]]


def outside_sentence(outside: int, flagged: int) -> str:
    """How many flagged rows lie where the attacker's ranges say there are none; empty for none."""
    if not outside:
        return ""
    lie = "lies" if outside == 1 else "lie"
    return (
        f"{outside} of {flagged} flagged sensitive test row{plural(flagged)} {lie} outside the attacker's "
        "ranges; nothing is certified of them."
    )


def _budget(budget: Budget, flagged: int, level: str) -> str:
    median, edits, certified = budget["median"], budget["threat"] == "edits", budget["certified"]
    rows = f"{flagged} flagged sensitive test row{plural(flagged)}"
    are = "is" if certified == 1 else "are"
    if not certified:
        if flagged == 1:
            return (
                f"Certified ({level}): the {rows} is certified for no budget of {budget['threat']}."
            )
        return f"Certified ({level}): none of the {rows} is certified for a budget of {budget['threat']}."
    if median == 0:
        return (
            f"Certified ({level}): {certified} of the {rows} {are} certified for some budget of "
            f"{budget['threat']} above 0, fewer than half."
        )
    if median == "inf":
        until = "whatever this attacker buys" if edits else f"after any {budget['threat']}"
    elif edits:
        until = f"whatever this attacker buys for less than {_amount(median, budget['unit'])}"
    else:
        until = f"after any {budget['threat']} of up to {_amount(median, budget['unit'])}"
    if flagged == 1:
        return f"Certified ({level}): the {rows} keeps its flag {until}."
    return (
        f"Certified ({level}): half of the {rows} keep their flag {until}; {certified} of them {are} "
        "certified for some budget above 0."
    )


def _at_risk(rows: list[AtRisk], budgets: list[Budget], run: Run) -> Table:
    unit = budgets[0]["unit"]
    kept = _ids(run)
    head = ["row", *kept, f"certified, {unit}", f"cheapest evasion found, {unit}", "which is"]
    body = [
        [
            row["row"],
            *(str(run.rows[name].iloc[row["index"]]) for name in kept),
            _number(row["certified"]),
            "none" if row["price"] is None else _number(row["price"]),
            row["evasion"] or "–",
        ]
        for row in rows
    ]
    return Table(head, body, "Most at risk")


def _ids(run: Run) -> list[str]:
    """Columns of the rows that the user kept: those that no run has of its own."""
    own = ("index", "row", "label", "predicted", "margin", "status")
    prefixes = ("radius_", "slope_", "upper_", "status_")
    names = map(str, run.rows.columns)
    return [name for name in names if name not in own and not name.startswith(prefixes)]


def _columns(columns: list[ColumnReview]) -> Table:
    head = [
        "column",
        "the attacker",
        "price",
        "standard deviation",
        "one step",
        "takes off, of the score",
        "alone it may move by",
    ]
    body = [
        [
            column["column"],
            column["attacker"],
            column["price"],
            _number(column["std"]),
            "one edit" if column["step"] is None else _number(column["step"]),
            "–"
            if not isinstance(column["step_takes"], float)
            else f"{percent(min(1.0, column['step_takes']))}",
            _number(column["alone"]),
        ]
        for column in columns
    ]
    return Table(head, body, "Column by column, by what one step takes off the score")


def _accuracy(review: Review, run: Run) -> Table:
    body = [
        [
            "this detector",
            percent(confusion(run.rows).accuracy),
            f"{area_under_curve(run.rows):.4f}",
        ]
    ]
    body += [
        [line["method"], percent(line["clean_accuracy"]), f"{line['auc']:.4f}"]
        for line in review["baselines"]
    ]
    return Table(["trained on the same rows", "accuracy", "AUC"], body, "Beside others")


def _amount(value: Number, unit: str) -> str:
    """With its unit; those of this library in the singular where there is one."""
    shown = _number(value)
    ours = {"standard deviations": "standard deviation", "bytes": "byte"}
    return f"{shown} {ours.get(unit, unit) if shown == '1' else unit}"


def _number(value: Number) -> str:
    """As readers see it; what does not exist is a dash."""
    if value is None:
        return "–"
    return "any" if value == "inf" else significant(float(value))
