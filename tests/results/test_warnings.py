"""What a report says of itself before any number."""

from typing import cast

import numpy as np
import pandas as pd
import pytest

from featureconvex.results.record import Record
from featureconvex.results.warnings import chance_level, run_warnings

RECORD = cast(Record, {"sensitive_name": "spam", "other_name": "ham"})


def _rows(shift: float, n: int = 200) -> pd.DataFrame:
    label = np.arange(n) % 2
    margin = np.random.default_rng(0).normal(size=n) + shift * label
    return pd.DataFrame({"label": label, "predicted": (margin > 0).astype(int), "margin": margin})


@pytest.mark.parametrize(
    ("shift", "words"),
    [(2.0, None), (0.0, "cannot be told from chance"), (-2.0, "the wrong way round")],
)
def test_a_detection_is_better_than_chance_or_chance_or_the_wrong_way_round(
    shift: float, words: str | None
) -> None:
    found = run_warnings(_rows(shift), RECORD)
    assert len(found) == (words is not None)
    assert words is None or words in found[0]


def test_scores_that_lose_every_comparison_are_no_chance() -> None:
    rows = _rows(0.0, 60).assign(margin=lambda r: -1.0 * r["label"])
    (sentence,) = run_warnings(rows, RECORD)
    assert "0.000" in sentence
    assert f"{1 - chance_level(rows):.3f}" in sentence
