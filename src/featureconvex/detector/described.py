"""What a run's model knows of its data, whatever it answers about their classes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featureconvex.attacker import Attacker, schema_of_columns
from featureconvex.attacker.question import Question, question
from featureconvex.certificates import Domain, Level
from featureconvex.certificates.arguments import check_domain, check_threats
from featureconvex.data.meaning import Meaning
from featureconvex.data.schema import Schema
from featureconvex.data.tables.columns import Column
from featureconvex.detector.table import columns_of
from featureconvex.errors import UserError
from featureconvex.models.model import FeatureConvexModel

# Rows per forward pass of a prediction.
BATCH = 4096


class Described:
    """Columns, prices and an attacker.

    Attributes:
        classes_: names of the classes.
        schema: what the columns of a table are and what an attacker can do; None for images.
        cost_: (d,) one over the training standard deviations; None where they are not known.
        meaning: what the numbers of an input mean.
    """

    classes_: NDArray[np.str_]
    schema: Schema | None
    cost_: NDArray[np.float64] | None
    meaning: Meaning

    def describe(self, extra: Mapping[str, Any]) -> None:
        """Take what travelled with the model in its file.

        Raises:
            UserError: the entries are damaged.
        """
        meaning = Meaning.from_extra(extra)
        cost = extra.get("cost")
        stored = extra.get("schema")
        columns = columns_of(meaning)
        schema = None if columns is None else schema_of_columns(columns)
        self.meaning = meaning
        self.schema = schema if stored is None else Schema.from_stored(stored)
        self.cost_ = None if cost is None else np.array(cost, dtype=np.float64)

    @property
    def columns(self) -> tuple[Column, ...] | None:
        """Of a table; None where they are not known."""
        return columns_of(self.meaning)

    @property
    def attacker(self) -> Attacker | None:
        """The attacker of the schema; None where there is none, or no standard deviations."""
        columns = self.columns
        if self.schema is None or columns is None or self.cost_ is None:
            return None
        if len(self.cost_) != sum(column.width for column in columns):
            raise UserError("the model's cost does not have one number per feature")
        return Attacker(self.schema, columns, self.cost_)

    def asked(
        self,
        core: FeatureConvexModel,
        threat: object,
        domain: Domain | None,
        level: str | Level | None = None,
    ) -> Question:
        """What is certified or attacked where a caller leaves something out.

        Args:
            core: a model that knows the names of the columns.
            threat: one, a list, or None for the schema's.
            domain, level: as given.
        """
        threats = None if threat is None else check_threats(threat, model=core)
        named = None if domain is None else check_domain(domain, model=core)
        return question(self.attacker, threats, named, level)
