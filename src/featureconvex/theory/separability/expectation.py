"""What to expect before training: which class suits being the sensitive one, by a sample of the rows."""

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from featureconvex.data import find_task
from featureconvex.data.dataset import Dataset
from featureconvex.errors import UserError
from featureconvex.results.numbers import percent
from featureconvex.theory.separability.lattice import Lattice
from featureconvex.theory.separability.linear import linear_separation
from featureconvex.theory.separability.verdicts import separate

SAMPLE = 1000
"""Rows of each class."""
WIDEST = 500
"""Features; a look should take seconds."""
NOTICEABLE = 0.02


def expectation(dataset: Dataset) -> list[str]:
    """Sentences: shares of each class outside the other's convex hull, and what a line can do.

    A detector on the features as they are can be right about a sensitive row only if it lies outside
    the hull of the other class (Corollary 3.8 of the paper). A sample of the other class has a smaller
    hull than all of it, so the shares are upper bounds.

    Raises:
        UserError: a class or every feature is missing, or there are more than ``WIDEST`` features.
    """
    x = dataset.train.x.reshape(len(dataset.train), -1)
    if x.shape[1] > WIDEST:
        raise UserError(
            f"{x.shape[1]} features are too many for a quick look; `featureconvex separability` takes them"
        )
    rows = [_sampled(np.flatnonzero(dataset.train.y == label)) for label in (1, 0)]
    if not all(map(len, rows)):
        raise UserError("both classes need rows")
    lattice = Lattice.of(x[np.concatenate(rows)])
    split = len(rows[0])
    first = lattice.take(np.arange(split))
    second = lattice.take(np.arange(split, split + len(rows[1])))
    names = (dataset.sensitive_name, dataset.other_name)
    shares = [
        float((separate(mine, others).inside == 0).mean())
        for mine, others in ((first, second), (second, first))
    ]
    linear = linear_separation(first, second)
    of = "all rows" if split + len(rows[1]) == len(x) else f"{split} and {len(rows[1])} rows"
    found = [
        f"what to expect, by {of}: {percent(shares[0])} of {names[0]} lie outside the convex hull of "
        f"{names[1]}, {percent(shares[1])} the other way round; a linear model gets "
        f"{percent(linear.accuracy)}"
    ]
    if shares[1] > shares[0] + NOTICEABLE:
        found.append(
            f"{names[1]} suits the sensitive class better than {names[0]}, if you have the choice; "
            "`featureconvex separability` says more"
        )
    return found


def expected_of_table(path: Path, schema: str) -> list[str]:
    """The same of a table read by a schema's text; why it is not known, where it is not."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "schema.toml"
        file.write_text(schema, encoding="utf-8")
        try:
            return expectation(find_task(str(path), schema=file).load())
        except UserError as error:
            return [f"what to expect is not known yet: {error}"]


def _sampled(rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """At most ``SAMPLE`` of them, evenly spread."""
    if len(rows) <= SAMPLE:
        return rows
    return rows[np.linspace(0, len(rows) - 1, SAMPLE).astype(np.intp)]
