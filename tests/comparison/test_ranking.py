import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.comparison.comparisons import synthetic_comparison

from featureconvex.comparison.folder import Comparison
from featureconvex.comparison.metrics import derive_comparison
from featureconvex.comparison.norm_equivalence import conversion_factor
from featureconvex.comparison.pairwise import compare_curves, stretches
from featureconvex.comparison.ranking import best_index, derive_ordering
from featureconvex.comparison.ranking_sentences import ordering_sentences, radii_words
from featureconvex.norms import norm_name, parse_norm

RADIUS = np.linspace(0.0, 4.0, 5)


def curve(*accuracy: float, width: float = 0.05) -> Any:
    values = np.array(accuracy)
    low, high = (np.clip(values + sign * width, 0, 1) for sign in (-1, 1))
    return {"radius": RADIUS, "accuracy": values, "low": low, "high": high}


def method(title: str, *curves: dict[str, Any], converted: bool = False, best: int = 0) -> Any:
    settings = [
        {
            "setting": {"sigma": k} if len(curves) > 1 else {},
            "levels": {
                "certified": {
                    "guarantee": "deterministic",
                    "converted": {"l2": converted},
                    "certified_accuracy": {"l2": c},
                    "area": {"l2": float(np.trapezoid(c["accuracy"], c["radius"]))},
                }
            },
        }
        for k, c in enumerate(curves)
    ]
    return {
        "title": title,
        "levels": {"certified": "deterministic"},
        "settings": settings,
        "best_setting": {"l2": settings[best]["setting"]},
    }


METHODS = {
    "ours": method("ours", curve(0.9, 0.8, 0.6, 0.0, 0.0)),
    "small": method("small", curve(0.9, 0.5, 0.3, 0.0, 0.0)),
    "far": method("far", curve(0.5, 0.4, 0.4, 0.4, 0.1), curve(0.9, 0.8, 0.0, 0.0, 0.0)),
    "other": method("other", curve(1.0, 1.0, 0.9, 0.1, 0.0), converted=True),
    "failed": {"title": "failed", "levels": {"certified": "deterministic"}, "reason": "none"},
    "refused": {
        "title": "refused",
        "levels": {"certified": "deterministic"},
        "settings": [{"setting": {}, "levels": {}}],
        "best_setting": {},
    },
}


def test_stretches_and_differences_by_hand() -> None:
    pair = compare_curves(METHODS["ours"]["settings"][0]["levels"]["certified"]["certified_accuracy"]["l2"],
                 curve(0.5, 0.4, 0.4, 0.4, 0.02))  # fmt: skip
    assert pair["ahead"] == [[0.0, 2.0]]
    assert pair["behind"] == [[3.0, 4.0]]
    assert pair["clearly_ahead"] == [[0.0, 2.0]]
    # At 4 the intervals 0 to 0.05 and 0 to 0.07 overlap.
    assert pair["clearly_behind"] == [[3.0, 3.0]]
    assert pair["lead"] == {"difference": pytest.approx(0.4), "radius": 0.0}
    assert pair["lag"] == {"difference": pytest.approx(0.4), "radius": 3.0}


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=30))
def test_a_pair_of_curves_partitions_the_radii_and_turns_round(
    pairs: list[tuple[int, int]],
) -> None:
    radius = np.arange(len(pairs), dtype=float)
    curves: list[Any] = [
        {"radius": radius, "accuracy": a / 9, "low": a / 9 - 0.1, "high": a / 9 + 0.1}
        for a in np.array(pairs, dtype=float).T
    ]
    forth: Any = compare_curves(*curves)
    back: Any = compare_curves(*reversed(curves))
    for one, two in (("ahead", "behind"), ("clearly_ahead", "clearly_behind"), ("lead", "lag")):
        assert forth[one] == back[two]
        assert forth[two] == back[one]

    def inside(runs: list[list[float]]) -> set[int]:
        return {i for a, b in runs for i in range(int(a), int(b) + 1)}

    ahead, behind = inside(forth["ahead"]), inside(forth["behind"])
    assert ahead == {i for i, (a, b) in enumerate(pairs) if a > b}
    assert behind == {i for i, (a, b) in enumerate(pairs) if a < b}
    assert inside(forth["clearly_ahead"]) <= ahead


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_stretches_are_maximal(values: list[bool]) -> None:
    runs = stretches(np.array(values), np.arange(len(values), dtype=float))
    assert [i for a, b in runs for i in range(int(a), int(b) + 1)] == [
        i for i, value in enumerate(values) if value
    ]
    assert all(after[0] - before[1] > 1 for before, after in itertools.pairwise(runs))


def test_the_ordering_by_hand() -> None:
    found = derive_ordering(METHODS, "ours")["l2"]
    assert [e["method"] for e in found["areas"]] == ["other", "ours", "far", "small"]
    assert found["largest_native"] == "ours"
    assert found["up_to"] == 4.0
    assert set(found["against"]) == {"small", "far", "other"}
    assert found["leaders"] == [
        {"from": 0.0, "to": 2.0, "methods": ["other"]},
        {"from": 3.0, "to": 4.0, "methods": ["far"]},
    ]
    assert found["reference_leads"] == {"alone": [], "shared": [], "behind": [[0.0, 4.0]]}
    far = found["against"]["far"]
    assert [pair["behind"] for pair in far["settings"]] == [[[3.0, 4.0]], []]
    assert far["best"]["behind"] == [[3.0, 4.0]]
    assert far["any_setting"]["ahead"] == [[2.0, 2.0]]
    assert "any_setting" not in found["against"]["small"]
    assert found["own_settings"] == [{**found["areas"][1], "behind": ["other"]}]
    # 90 % of what the best native curve starts with is not reached beyond 0; then 50 % and 10 %.
    assert found["radii"] == [2.0, 4.0]


def test_without_the_reference_or_without_any_curve() -> None:
    alone = derive_ordering({k: METHODS[k] for k in ("small", "far", "failed")}, "ours")["l2"]
    assert alone["areas"][0]["method"] == "far"
    assert "against" not in alone
    assert derive_ordering({k: METHODS[k] for k in ("failed", "refused")}, "ours") == {}
    silent = derive_ordering({"ours": method("ours", curve(0, 0, 0, 0, 0))}, "ours")["l2"]
    assert silent["leaders"] == []
    assert silent["radii"] == []


def test_sentences_follow_the_numbers() -> None:
    found = derive_ordering(METHODS, "ours")["l2"]
    titles = {name: m["title"] for name, m in METHODS.items()}
    said = ordering_sentences("l2", found, titles, "ours")
    assert said[0] == (
        "Of 3 methods certified in l2 itself, ours has the largest area under its curve, 1.85, before "
        "far (sigma 0) with 1.5; converted from another norm, other has more, 2.5."
    )
    assert said[1] == (
        "At its best setting, ours nowhere certifies the largest share alone; another method certifies "
        "more at 0 to 4 (radii up to 4 compared)."
    )
    assert "not touching (most, in percentage points): far at 3 (40.0 at 3)" in said[2]
    assert "other at 1 to 2 (30.0 at 2)" in said[2]
    assert said[3] == "It is nowhere behind: small."
    assert said[4].endswith("it is behind far at 3 to 4.")
    # The other way round nothing of this may be said.
    weak = {**METHODS, "far": method("far", curve(0.1, 0, 0, 0, 0)), "other": METHODS["small"]}
    said = ordering_sentences("l2", derive_ordering(weak, "ours")["l2"], titles, "ours")
    assert "alone at radii 1 to 2, shares the lead at 0; none beats it" in said[1]
    assert said[2:] == ["It is nowhere behind: small; far; other."]


def test_a_single_method_and_a_converted_norm_are_said() -> None:
    titles = {"small": "small", "other": "other"}
    only = derive_ordering({"small": METHODS["small"]}, "ours")["l2"]
    assert ordering_sentences("l2", only, titles, "ours") == [
        "small is the only method certified in l2 itself, with an area of 1.25."
    ]
    converted = derive_ordering({"other": METHODS["other"]}, "ours")["l2"]
    assert "every curve is converted" in ordering_sentences("l2", converted, titles, "ours")[0]
    assert radii_words([[0.5, 0.5], [1.0, 2.0], [3.0, 4.0]]) == "0.5, 1 to 2 and 3 to 4"


def test_the_ordering_is_that_of_the_rows() -> None:
    comparison = synthetic_comparison(n=120)
    tables = comparison.derive()
    n = tables["n_sensitive"]
    for norm, found in tables["ordering"].items():
        curves = {
            ran.method.name: _certified(
                comparison, ran, best_index(tables["methods"][ran.method.name], norm), norm
            )
            for ran in comparison.results
        }
        radius = np.linspace(0, found["up_to"], 201)[1:].round(12)
        shares = {
            name: np.array([(radii >= r).sum() / n for r in radius])
            for name, radii in curves.items()
        }
        for name, against in found["against"].items():
            behind = radius[shares["feature-convex"] < shares[name]]
            assert _members(against["best"]["behind"], radius) == behind.tolist()
        areas = {
            name: np.nan_to_num(radii).clip(max=found["up_to"]).mean()
            for name, radii in curves.items()
        }
        for entry in found["areas"]:
            assert entry["area"] == pytest.approx(areas[entry["method"]])
        assert found["areas"][0]["method"] == max(areas, key=lambda name: areas[name])


def _members(runs: list[list[float]], radius: Any) -> list[float]:
    return [r for r in radius.tolist() if any(a <= r <= b for a, b in runs)]


def _certified(comparison: Comparison, ran: Any, k: int, norm: str) -> Any:
    level = next(iter(ran.method.levels))
    rows = ran.fits[k].rows
    rows = rows[rows["label"] == 1]
    native = {p: rows[f"radius_{norm_name(p)}_{level}"].to_numpy() for p in ran.method.native_norms}
    wanted = parse_norm(norm)
    if wanted in native:
        return native[wanted]
    factors = {p: conversion_factor(p, wanted, comparison.dimension) for p in native}
    return np.max([radii * factors[p] for p, radii in native.items()], axis=0)


def test_an_area_does_not_depend_on_the_grid() -> None:
    # The l2 radii of splitting, converted, all lie between the first two points of a common grid.
    comparison = synthetic_comparison(["splitting", "linear"], n=120)
    tables = derive_comparison(comparison.results, 10**8, comparison.head)
    for setting in tables["methods"]["splitting"]["settings"]:
        measured = setting["levels"]["certified"]
        assert max(measured["certified_accuracy"]["l2"]["accuracy"][1:]) == 0
        assert measured["area"]["l2"] == pytest.approx(measured["average_certified_radius"]["l2"])


def test_the_best_setting_has_the_largest_area() -> None:
    comparison = synthetic_comparison(["splitting", "linear"], n=120)
    tables = derive_comparison(comparison.results, 784, comparison.head)
    for norm in ("l1", "l2", "linf"):
        settings = tables["methods"]["splitting"]["settings"]
        areas = [s["levels"]["certified"]["area"][norm] for s in settings]
        assert best_index(tables["methods"]["splitting"], norm) == int(np.argmax(areas))
