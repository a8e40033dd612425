"""The section of a report that states the attacker: budgets, rows most at risk, columns, baselines."""

from dataclasses import dataclass

from featureconvex.report.table import Table
from featureconvex.report.wording import LEVEL_NAMES
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


def _budget(budget: Budget, flagged: int, level: str) -> str:
    median, edits = budget["median"], budget["threat"] == "edits"
    if median == 0:
        return (
            f"Certified ({level}): {budget['certified']} of the {flagged} flagged sensitive test rows keep "
            f"their flag for some budget of {budget['threat']}, fewer than half."
        )
    if median == "inf":
        until = "whatever this attacker buys" if edits else f"after any {budget['threat']}"
    elif edits:
        until = f"whatever this attacker buys for less than {_number(median)} {budget['unit']}"
    else:
        until = f"after any {budget['threat']} of up to {_number(median)} {budget['unit']}"
    return (
        f"Certified ({level}): half of the {flagged} flagged sensitive test rows keep their flag {until}; "
        f"{budget['certified']} of them for some budget."
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
            _number(column["step"]),
            "–"
            if not isinstance(column["step_takes"], float)
            else f"{percent(min(1.0, column['step_takes']))}",
            _number(column["alone"]),
        ]
        for column in columns
    ]
    return Table(head, body, "Column by column, the strongest first")


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


def _number(value: Number) -> str:
    """As readers see it; what does not exist is a dash."""
    if value is None:
        return "–"
    return "any" if value == "inf" else significant(float(value))
