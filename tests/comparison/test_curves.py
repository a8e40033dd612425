"""What the file keeps short comes back whole."""

import json
from typing import Any

import numpy as np
from tests.comparison.comparisons import synthetic_comparison

from featureconvex.comparison.curves import restored, stored
from featureconvex.results.strict_json import dump_json


def same(left: Any, right: Any) -> None:
    """The same keys, and numbers that agree to six digits."""
    if isinstance(left, dict):
        assert left.keys() == right.keys()
        for key in left:
            same(left[key], right[key])
    elif isinstance(left, (list, tuple)):
        assert len(left) == len(right)
        for one, other in zip(left, right, strict=True):
            same(one, other)
    elif isinstance(left, np.ndarray):
        np.testing.assert_allclose(left, np.asarray(right), atol=1e-6)
    else:
        assert left == right


def test_everything_comes_back() -> None:
    whole = synthetic_comparison(failed=["cayley"]).derive()
    before = dump_json(whole)
    short = dump_json(stored(whole))
    assert len(short) < 0.4 * len(before)
    same(whole, restored(json.loads(short)))
    assert dump_json(whole) == before, "stored() changed what it was given"


def test_the_curves_of_settings_are_exact() -> None:
    whole = synthetic_comparison(["splitting"], n=77).derive()
    again = restored(json.loads(dump_json(stored(whole))))
    for left, right in zip(
        *(t["methods"]["splitting"]["settings"] for t in (whole, again)), strict=True
    ):
        for norm, found in left["levels"]["certified"]["certified_accuracy"].items():
            for field, values in found.items():
                other = right["levels"]["certified"]["certified_accuracy"][norm][field]
                np.testing.assert_array_equal(values, other)
