"""Settings of an earlier comparison beside new ones: as if all had been run together."""

import json
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from tests.comparison.comparisons import synthetic_comparison

from featureconvex.comparison.curves import stored
from featureconvex.comparison.folder import Comparison
from featureconvex.comparison.kept import with_kept
from featureconvex.comparison.metrics import Failure
from featureconvex.comparison.schema import ComparisonTables
from featureconvex.errors import UserError
from featureconvex.results.strict_json import dump_json

NAMES = ["feature-convex", "smoothing-gaussian", "cayley", "linear"]


def file_of(comparison: Comparison) -> dict[str, Any]:
    return file_of_tables(comparison.derive())


def file_of_tables(tables: ComparisonTables) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads(dump_json(stored(tables))))


def scaled(comparison: Comparison, name: str, factor: float) -> Comparison:
    """Radii of one method times a factor."""
    for result in comparison.results:
        if result.method.name == name:
            for fit in result.fits:
                for column in (c for c in map(str, fit.rows) if "radius" in c):
                    fit.rows[column] *= factor
    return comparison


def test_what_is_run_again_in_part_is_as_if_all_had_been_run() -> None:
    whole = synthetic_comparison(NAMES, n=80)
    part = synthetic_comparison(NAMES[:1], n=80)
    assert json.loads(dump_json(with_kept(part, file_of(whole)))) == json.loads(
        dump_json(whole.derive())
    )


def test_a_setting_that_is_run_again_replaces_the_earlier_one() -> None:
    """Radii four times as large, beyond the end of the earlier curves, which go on at 0."""
    whole = synthetic_comparison(NAMES, n=80)
    part = scaled(synthetic_comparison(NAMES[:1], n=80), "feature-convex", 4.0)
    found = with_kept(part, file_of(whole))
    ours, alone = (tables["methods"]["feature-convex"] for tables in (found, part.derive()))
    assert [s["setting"] for s in ours["settings"]] == [s["setting"] for s in alone["settings"]]
    for mine, its in zip(ours["settings"], alone["settings"], strict=True):
        for name, one in mine["levels"].items():
            assert one["median_radius"] == its["levels"][name]["median_radius"]
    before = file_of(whole)
    for name in NAMES[1:]:
        level = found["methods"][name]["settings"][0]["levels"]["certified"]
        earlier = before["methods"][name]["settings"][0]["levels"]["certified"]
        for norm, counts in earlier["certified"].items():
            curve = level["certified_accuracy"][norm]
            assert list(curve["certified"])[: len(counts)] == counts
            assert not np.any(list(curve["certified"])[len(counts) :])
            assert level["area"][norm] == earlier["area"][norm]
    ends = [
        np.asarray(found["methods"]["linear"]["certified_accuracy"][norm]["radius"])[-1]
        / before["grids"][norm][-1]
        for norm in ("l1", "l2", "linf")
    ]
    assert max(ends) > 2
    areas = {norm: table["areas"][0]["method"] for norm, table in found["ordering"].items()}
    assert set(areas.values()) == {"feature-convex"}


def test_a_failure_goes_when_its_setting_has_run_and_is_told_once_where_it_has_not() -> None:
    part = synthetic_comparison(NAMES[:1], n=80)
    (ours,) = part.results
    before = file_of(synthetic_comparison(NAMES, n=80))
    failed = before["methods"]["feature-convex"]["failed"]
    failed += [{"setting": ours.fits[0].record["setting"], "reason": "killed"}]
    failed += [{"setting": {"sigma": 9.0}, "reason": "earlier"}]
    again = replace(ours, failures=[Failure({"sigma": 9.0}, "later")])
    found = with_kept(replace(part, results=[again]), before)["methods"]["feature-convex"]
    assert found["failed"] == [{"setting": {"sigma": 9.0}, "reason": "later"}]
    assert len(found["settings"]) == len(ours.fits)


def test_where_a_kept_curve_goes_on_all_end_where_it_did() -> None:
    earlier = file_of(synthetic_comparison(NAMES, n=80))
    level = earlier["methods"]["cayley"]["settings"][0]["levels"]["certified"]
    level["certified"]["l2"][-1] = 1
    part = scaled(synthetic_comparison(NAMES[:1], n=80), "feature-convex", 4.0)
    radius = with_kept(part, earlier)["methods"]["linear"]["certified_accuracy"]["l2"]["radius"]
    assert np.asarray(radius)[-1] == earlier["grids"]["l2"][-1]


def test_what_is_kept_of_fewer_points_says_so() -> None:
    earlier = file_of(synthetic_comparison(NAMES, n=80, data="first"))
    part = synthetic_comparison(NAMES[:1], n=400, data="all")
    with pytest.raises(UserError, match="another n_test, data"):
        with_kept(part, earlier)
    with pytest.raises(UserError, match="another data"):
        with_kept(part, earlier, "other")
    found = with_kept(part, earlier, "first")
    assert found["n_test"] == 400
    alone = part.derive()["methods"]["feature-convex"]["settings"]
    for mine, its in zip(found["methods"]["feature-convex"]["settings"], alone, strict=True):
        for name, level in mine["levels"].items():
            assert "n_points" not in level
            assert (
                level["average_certified_radius"] == its["levels"][name]["average_certified_radius"]
            )
    for name in NAMES[1:]:
        for kept, was in zip(
            found["methods"][name]["settings"], earlier["methods"][name]["settings"], strict=True
        ):
            level = kept["levels"]["certified"]
            assert level["n_points"] == earlier["n_sensitive"] == 40
            for norm, counts in was["levels"]["certified"]["certified"].items():
                shares = np.asarray(level["certified_accuracy"][norm]["accuracy"])
                np.testing.assert_allclose(shares[: len(counts)], np.array(counts) / 40)
    # Kept once more, of a file that has both.
    again = with_kept(part, file_of_tables(found))
    assert json.loads(dump_json(again)) == json.loads(dump_json(found))


def test_other_points_are_refused() -> None:
    earlier = file_of(synthetic_comparison(NAMES, n=80))
    with pytest.raises(UserError, match="another n_test, data"):
        with_kept(synthetic_comparison(NAMES[:1], n=80), {**earlier, "n_test": 3, "data": "other"})
