"""The attacker that a schema describes: a domain, a threat, and one sentence that states both."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featureconvex.certificates import L0, Box, Domain, Edits
from featureconvex.certificates.domain import Gaps
from featureconvex.data.schema import ColumnSchema, Schema
from featureconvex.data.tables.columns import Column
from featureconvex.errors import UserError


def schema_of_columns(columns: Sequence[Column]) -> Schema:
    """The schema of a table that nobody described: every feature free, at one per standard deviation."""
    types = {"category": "category", "boolean": "boolean", "date": "date"}
    said = [ColumnSchema(column.name, type=types.get(column.kind, "number")) for column in columns]
    return Schema(tuple(said))


@dataclass(frozen=True)
class Attacker:
    """What a schema says about an attacker, in the features of a model.

    Attributes:
        schema: the columns.
        columns: as the model encodes them, in its order.
        cost: (d,) one over the training standard deviations.

    Raises:
        UserError: a column that the schema does not name.
    """

    schema: Schema
    columns: tuple[Column, ...]
    cost: NDArray[np.float64]

    def __post_init__(self) -> None:
        known = {column.name for column in self.schema.columns}
        for column in self.columns:
            if column.name not in known:
                raise UserError(f"the schema does not name the column {column.name!r}; add it")

    @cached_property
    def placed(self) -> list[tuple[ColumnSchema, Column, range]]:
        """What is said of every column, how it is encoded, and the places of its features."""
        said = {column.name: column for column in self.schema.columns}
        starts = np.cumsum([0, *(column.width for column in self.columns)]).tolist()
        return [
            (said[column.name], column, range(start, start + column.width))
            for column, start in zip(self.columns, starts, strict=False)
        ]

    def only(self, name: str) -> "Attacker":
        """The attacker who can change the column ``name`` alone."""
        columns = tuple(
            said if said.name == name else replace(said, attacker="fixed")
            for said in self.schema.columns
        )
        return replace(self, schema=replace(self.schema, columns=columns))

    @property
    def domain(self) -> Domain:
        """Ranges, columns that cannot change or move one way only; what is missing stays missing."""
        size = sum(column.width for column in self.columns)
        lo, hi = np.zeros(size), np.ones(size)
        fixed, ways = np.zeros(size, dtype=bool), np.zeros(size, dtype=np.int64)
        for said, column, places in self.placed:
            if said.numeric and column.kind != "category":
                lo[places[0]], hi[places[0]] = said.low, said.high
                ways[places[0]] = {"increase": 1, "decrease": -1}.get(said.attacker, 0)
            if said.attacker == "fixed":
                fixed[list(places)] = True
        return self.without_filling(Box(lo, hi, fixed, ways))

    def without_filling(self, domain: Domain) -> Domain:
        """The same domain, in which what is missing stays missing."""
        gaps = [(at[0], at[1]) for _, column, at in self.placed if column.fill is not None]
        return Gaps(domain, gaps) if gaps else domain

    @cached_property
    def threat(self) -> Edits:
        """The total price of numeric moves and of edits of categories and booleans."""
        cost = np.array(self.cost, dtype=np.float64)
        blocks: list[list[int]] = []
        prices: list[Any] = []
        whole = []
        for said, column, places in self.placed:
            first = places[0]
            if column.kind == "category":
                blocks.append(list(places))
                prices.append(_prices(said, column))
                continue
            if said.type == "boolean" or column.kind == "boolean":
                blocks.append([first])
                prices.append(float(said.cost) if said.cost != "std" else 1.0)
                continue
            cost[list(places[1:])] = math.inf
            if said.attacker == "fixed":
                cost[first] = math.inf
            elif said.cost != "std":
                cost[first] = float(said.cost)
            if said.type == "integer":
                whole.append(first)
        return Edits(cost, blocks, prices, whole)

    @cached_property
    def unit_costs(self) -> NDArray[np.float64]:
        """(d,): of one unit of each feature, for norms: those of :attr:`threat`, of 0 and 1 an edit's.

        ``inf`` where a category has no edit.
        """
        threat = self.threat
        cost = np.array(self.cost, dtype=np.float64)
        numeric = threat.numeric_cost(len(cost)).numpy()
        cost = np.where(np.isfinite(numeric), numeric, cost)
        for block, places in enumerate(threat.blocks.coordinates):
            cost[list(places)] = float(threat.blocks.prices.cheapest[block])
        return cost

    @property
    def columns_changed(self) -> L0:
        """How many columns change, a category or a number with its gap once."""
        groups = [number for number, column in enumerate(self.columns) for _ in range(column.width)]
        return L0(groups)

    @property
    def sentence(self) -> str:
        """The attacker in one sentence."""
        return f"{self._moves(True)}; all prices together, in {self.schema.unit}, are the budget."

    @property
    def moves_sentence(self) -> str:
        """What the attacker may do, for budgets in which prices have no say."""
        return f"{self._moves(False)}."

    def _moves(self, priced: bool) -> str:
        words: dict[str, dict[str, list[str]]] = {"move": {}, "edit": {}, "fixed": {}}
        for said, _, _ in self.placed:
            kind = "fixed" if said.attacker == "fixed" else "move" if said.numeric else "edit"
            words[kind].setdefault(_terms(said, priced), []).append(said.name)
        may = []
        if words["move"]:
            may.append(f"move {_grouped(words['move'])}")
        if words["edit"]:
            may.append(f"change {_grouped(words['edit'])}")
        cannot = f"; {_grouped(words['fixed'])} cannot change" if words["fixed"] else ""
        gaps = any(column.fill is not None or "" in column.categories for column in self.columns)
        stays = "; what is missing stays missing, and nothing is blanked" if gaps else ""
        return f"The attacker may {' and '.join(may) or 'change nothing'}{cannot}{stays}"


def _prices(said: ColumnSchema, column: Column) -> Any:
    """One price for every edit, except that a missing cell stays one and nothing becomes missing."""
    price = float(said.cost)
    if "" not in column.categories:
        return price
    size, gap = len(column.categories), column.categories.index("")
    prices = np.full((size, size), price)
    prices[gap, :] = prices[:, gap] = math.inf
    return prices


def price_in_words(said: ColumnSchema) -> str:
    """Of a unit, a standard deviation or a change: ``0.5 per link``."""
    if said.cost == "std":
        return "1 per standard deviation"
    return f"{float(said.cost):g} per {(said.unit or 'unit') if said.numeric else 'change'}"


def _terms(said: ColumnSchema, priced: bool) -> str:
    """On which a column may be moved or edited, as words that follow its name."""
    if said.attacker == "fixed":
        return ""
    price = f" ({price_in_words(said)})" if priced else ""
    if not said.numeric:
        return price
    way = {"increase": " up only", "decrease": " down only"}.get(said.attacker, "")
    ends = ""
    if math.isfinite(said.low) or math.isfinite(said.high):
        ends = f" within {said.low:g} to {said.high:g}"
    return f"{way}{ends}{price}"


def _grouped(names: dict[str, list[str]]) -> str:
    """Names by their terms, which are said once."""
    parts = []
    for terms, of in names.items():
        each = f"{terms[:-1]} each)" if len(of) > 1 and terms.endswith(")") else terms
        parts.append(f"{_listed(of)}{each}")
    return "; ".join(parts) if any(len(of) > 1 for of in names.values()) else _listed(parts)


def _listed(words: list[str], most: int = 12) -> str:
    if len(words) > most:
        words = [*words[:most], f"{len(words) - most} more"]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
