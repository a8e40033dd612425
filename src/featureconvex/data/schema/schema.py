"""A schema: one entry per column of a table, the label, and the form of the file."""

import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from featureconvex.data.schema.form import TableForm
from featureconvex.errors import UserError
from featureconvex.scalars import one_of, real_number

ROLES = ("feature", "id", "drop")
TYPES = ("number", "integer", "category", "boolean", "date")
ATTACKERS = ("free", "fixed", "increase", "decrease")
RARE = ("refuse", "other")
MISSING = ("refuse", "median", "level")
STD = "std"


@dataclass(frozen=True)
class ColumnSchema:
    """One column.

    Attributes:
        name: as the file has it.
        role: ``"feature"``, ``"id"`` (kept beside the rows) or ``"drop"``.
        type: ``"number"``, ``"integer"``, ``"category"``, ``"boolean"`` or ``"date"`` (days).
        attacker: ``"free"``, ``"fixed"`` (cannot change), ``"increase"`` or ``"decrease"``.
        cost: of one unit of a number, or of one edit of a category or boolean; ``"std"``: of a number, one
            per training standard deviation.
        unit: of a number, in words.
        low, high: the attacker's range of a number.
        levels: of a category; empty: those of the training rows.
        rare: of a category: ``"refuse"`` other words, or count them as the level ``other``.
        missing: ``"refuse"`` empty cells; ``"median"`` of a number, and a feature that says so;
            ``"level"`` of a category, a level of its own.

    Raises:
        UserError: an unknown word, or one that does not fit the type.
    """

    name: str
    role: str = "feature"
    type: str = "number"
    attacker: str = "free"
    cost: float | str = STD
    unit: str = ""
    low: float = -math.inf
    high: float = math.inf
    levels: tuple[str, ...] = ()
    rare: str = "refuse"
    missing: str = "refuse"

    def __post_init__(self) -> None:
        where = f"of column {self.name!r}"
        words = (
            ("role", ROLES),
            ("type", TYPES),
            ("attacker", ATTACKERS),
            ("rare", RARE),
            ("missing", MISSING),
        )
        for name, choices in words:
            one_of(f"{name} {where}", getattr(self, name), choices)
        worded = isinstance(self.cost, str) and self.cost != STD
        if worded or (
            self.cost != STD and not 0 < real_number(f"cost {where}", self.cost) < math.inf
        ):
            raise UserError(
                f'cost {where} must be a finite number > 0 or "std", got {self.cost!r}; write '
                'attacker = "fixed" for what cannot change'
            )
        if not self.numeric and self.cost == STD:
            object.__setattr__(self, "cost", 1.0)
        if not self.numeric and self.attacker not in ("free", "fixed"):
            raise UserError(
                f"attacker {where} is free or fixed: a {self.type} can neither grow nor shrink"
            )
        fitting = {"median": self.numeric, "level": self.type == "category", "refuse": True}
        if not fitting[self.missing]:
            raise UserError(
                f'missing {where} is "median" for numbers, "level" for categories, or "refuse", got '
                f"{self.missing!r} for a {self.type}"
            )
        if self.type != "category" and (self.levels or self.rare != "refuse"):
            raise UserError(f"levels and rare {where} are for categories, its type is {self.type}")
        if not self.low <= self.high:
            raise UserError(f"range {where} needs low <= high, got {self.low} and {self.high}")
        if not self.numeric and not (math.isinf(self.low) and math.isinf(self.high)):
            raise UserError(f"range {where} is for numbers, its type is {self.type}")

    @property
    def numeric(self) -> bool:
        """Numbers, integers and dates."""
        return self.type in ("number", "integer", "date")


@dataclass(frozen=True)
class Schema:
    """A table.

    Attributes:
        columns: all but the label.
        label: the column to predict; None where a schema is only about an attacker.
        sensitive: the class that an attacker wants to leave; None where it is implied.
        unit: of all prices together, in words.
        form: how a CSV file is written.

    Raises:
        UserError: two columns of one name, or no feature.
    """

    columns: tuple[ColumnSchema, ...]
    label: str | None = None
    sensitive: str | None = None
    unit: str = "standard deviations"
    form: TableForm = field(default_factory=TableForm)

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        twice = {name for name in names if names.count(name) > 1}
        if twice or self.label in names:
            odd = sorted(twice)[0] if twice else self.label
            raise UserError(
                f"a schema names every column once, and the label apart; {odd!r} is named twice"
            )

    @property
    def features(self) -> tuple[ColumnSchema, ...]:
        """The columns that a model is trained on."""
        return tuple(column for column in self.columns if column.role == "feature")

    @property
    def ids(self) -> tuple[str, ...]:
        """The columns that are kept beside the rows."""
        return tuple(column.name for column in self.columns if column.role == "id")

    def with_label(self, label: str | None, sensitive: str | None) -> "Schema":
        """The same with what a command line says, which must not contradict it.

        Raises:
            UserError: another label or sensitive class.
        """
        for option, given, known in (
            ("label", label, self.label),
            ("sensitive", sensitive, self.sensitive),
        ):
            if given is not None and known is not None and given != known:
                raise UserError(
                    f"--{option} {given} contradicts the schema, which says {known}; leave it out"
                )
        return replace(
            self,
            label=self.label if label is None else label,
            sensitive=self.sensitive if sensitive is None else sensitive,
        )

    def stored(self) -> dict[str, Any]:
        """Plain JSON values."""
        columns = []
        for column in self.columns:
            values = {**asdict(column), "levels": list(column.levels)}
            for end in ("low", "high"):
                values[end] = None if math.isinf(values[end]) else values[end]
            columns.append(values)
        return {
            "columns": columns,
            "label": self.label,
            "sensitive": self.sensitive,
            "unit": self.unit,
            "form": self.form.stored(),
        }

    @staticmethod
    def from_stored(values: dict[str, Any]) -> "Schema":
        """The inverse of :meth:`stored`.

        Raises:
            UserError: the entry is damaged.
        """
        try:
            columns = []
            for column in values["columns"]:
                low = -math.inf if column["low"] is None else column["low"]
                high = math.inf if column["high"] is None else column["high"]
                given = {**column, "low": low, "high": high, "levels": tuple(column["levels"])}
                columns.append(ColumnSchema(**given))
            form = TableForm.from_stored(values["form"])
            return Schema(
                tuple(columns), values["label"], values["sensitive"], values["unit"], form
            )
        except (KeyError, TypeError) as error:
            raise UserError(f"the schema of this model is damaged: {error!r}") from error
