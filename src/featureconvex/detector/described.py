"""What a run's model knows of its data, whatever it answers about their classes."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar, cast, overload

import numpy as np
import torch
from numpy.typing import NDArray

from featureconvex.attacker import Attacker, schema_of_columns
from featureconvex.attacker.question import Question, question
from featureconvex.certificates import AttackResult, Domain, Level, Threat, attack
from featureconvex.certificates.arguments import (
    check_domain,
    check_inputs,
    check_threat,
    check_threats,
)
from featureconvex.data.meaning import Meaning
from featureconvex.data.schema import Schema
from featureconvex.data.tables.columns import Column
from featureconvex.detector.table import columns_of, with_table
from featureconvex.errors import UserError
from featureconvex.given import rows_tensor
from featureconvex.models.model import FeatureConvexModel

# Rows per forward pass of a prediction.
BATCH = 4096
AnyCertificate = TypeVar("AnyCertificate")


class Described(ABC, Generic[AnyCertificate]):
    """Columns, prices and an attacker, and answers about rows in those columns.

    A subclass is a model as well, and says how it is certified.

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

    @property
    @abstractmethod
    def core(self) -> FeatureConvexModel:
        """A model that knows the names of the columns: this one, or the score of a class."""

    @abstractmethod
    def certificates(
        self,
        X: Any,
        threats: Threat | Sequence[Threat],
        domain: Domain | None,
        level: str | Level,
        **options: Any,
    ) -> AnyCertificate | list[AnyCertificate]:
        """Certificates for rows, one for a threat, a list for a list, where nothing is left out."""

    def asked(
        self, threat: object, domain: Domain | None, level: str | Level | None = None
    ) -> Question:
        """What is certified or attacked where a caller leaves something out.

        Args:
            threat: one, a list, or None for the schema's.
            domain, level: as given.
        """
        threats = None if threat is None else check_threats(threat, model=self.core)
        named = None if domain is None else check_domain(domain, model=self.core)
        return question(self.attacker, threats, named, level)

    @overload
    def certify(
        self,
        X: Any,
        threat: Threat | None = ...,
        domain: Domain | None = ...,
        level: str | Level | None = ...,
        **options: Any,
    ) -> AnyCertificate: ...
    @overload
    def certify(
        self,
        X: Any,
        threat: Sequence[Threat],
        domain: Domain | None = ...,
        level: str | Level | None = ...,
        **options: Any,
    ) -> list[AnyCertificate]: ...
    def certify(
        self,
        X: Any,
        threat: Threat | Sequence[Threat] | None = None,
        domain: Domain | None = None,
        level: str | Level | None = None,
        **options: Any,
    ) -> AnyCertificate | list[AnyCertificate]:
        """Certificates for rows; by default against the attacker of the schema, at level ``domain``.

        Args:
            X: rows.
            threat: what the budget measures; None: the schema's prices, ``Lp(2)`` without one.
            domain: where the attacker may move; None: the schema's, unless all threats are norms.
            level: None: ``"closed-form"`` for norms everywhere, else ``"domain"``.
            options: as :func:`featureconvex.certify` (of several classes:
                :func:`featureconvex.certify_classes`).
        """
        asked = self.asked(threat, domain, level)
        several = threat is not None and not isinstance(threat, Threat)
        threats = list(asked.threats) if several else asked.threats[0]
        return self.certificates(X, threats, asked.domain, asked.level, **options)

    def attack(
        self, X: Any, threat: Threat | None = None, domain: Domain | None = None, **options: Any
    ) -> AttackResult:
        """Evasions, by default of the attacker of the schema; see :func:`featureconvex.attack`.

        Of a model of several classes: the nearest points that leave a row's class. Of a data frame the
        result has them as a ``table`` in its columns, too.
        """
        asked = self.asked(threat, domain)
        model = cast("FeatureConvexModel", self)
        found = attack(model, X, check_threat(asked.threats), asked.domain, **options)
        return with_table(found, X, check_inputs(X, self.core), self.columns)

    @torch.no_grad()
    def answers(self, X: Any) -> NDArray[np.float64]:
        """What the model says of rows, (n,) or (n, classes), NaN where a cell is missing."""
        model = cast("FeatureConvexModel", self)
        x = rows_tensor(check_inputs(X, self.core))
        parts = [model(part.to(model.device, model.dtype)).cpu() for part in torch.split(x, BATCH)]
        return np.asarray(torch.cat(parts).numpy())
