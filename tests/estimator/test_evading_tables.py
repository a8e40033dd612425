"""Evasions as rows of a table: only where a row can hold them."""

import numpy as np
import pandas as pd
import pytest

import featureconvex as fc
from featureconvex.data.tables.columns import Column
from featureconvex.detector.table import with_table

COLUMNS = (Column("n", "number"), Column("shop", "category", ("a", "b")))
ROWS = pd.DataFrame({"n": [2.0, 3.0], "shop": ["a", "b"]})
BEFORE = np.array([[2.0, 1.0, 0.0], [3.0, 0.0, 1.0]])


def evasion(after: np.ndarray, threat: fc.Threat) -> fc.AttackResult:
    found, zero = np.array([True, True]), np.zeros(2)
    return fc.AttackResult(after, found, zero, zero, threat, fc.Unbounded(), None, "descent")


def test_a_category_between_its_levels_is_no_row() -> None:
    after = np.array([[2.0, 0.7, 0.3], [3.5, 0.0, 1.0]])
    with pytest.warns(UserWarning, match=r"'shop' to numbers between its levels.*fc\.Edits"):
        found = with_table(evasion(after, fc.Lp(2)), ROWS, BEFORE, COLUMNS)
    assert found.table is None


def test_another_level_and_another_number_are_one() -> None:
    after = np.array([[2.0, 0.0, 1.0], [3.5, 0.0, 1.0]])
    table = with_table(evasion(after, fc.Edits()), ROWS, BEFORE, COLUMNS).table
    assert table is not None
    assert table.to_dict("list") == {"n": [2.0, 3.5], "shop": ["b", "b"]}
