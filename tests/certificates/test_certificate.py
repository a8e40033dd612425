"""The record: its columns, what it refuses to be."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch

from featureconvex import Box, Certificate, Guarantee, Lp, Status, Unbounded, UserError


def record(**changes: Any) -> Certificate:
    columns: dict[str, Any] = {
        "radius": np.array([1.0, 0.0, math.inf]),
        "upper": np.full(3, np.nan),
        "status": np.array([Status.certified, Status.boundary, Status.unbounded], dtype=object),
        "margin": np.array([0.5, 0.0, 2.0]),
        "slope": np.array([0.5, 1.0, 0.0]),
        "threat": Lp(2),
        "domain": Unbounded(),
        "level": "closed-form",
        "guarantee": Guarantee.deterministic,
    }
    return Certificate(**{**columns, **changes})


def test_certified_at_means_every_smaller_budget() -> None:
    assert record().certified_at(1.0).tolist() == [True, False, True]
    assert record().certified_at(1.0 + 1e-12).tolist() == [False, False, True]
    # A radius of 0 certifies nothing, not even the input itself: its margin is not positive.
    assert record().certified_at(0.0).tolist() == [True, False, True]


def test_the_frame_has_one_row_per_input() -> None:
    frame = record(threat=Lp(1), domain=Box(0, 1)).to_frame()
    assert list(frame.columns) == [
        "radius",
        "upper",
        "status",
        "margin",
        "threat",
        "domain",
        "level",
        "guarantee",
    ]
    assert frame["status"].tolist() == ["certified", "boundary", "unbounded"]
    assert frame["radius"].tolist() == [1.0, 0.0, math.inf]
    assert set(frame["domain"]) == {"Box(0, 1)"}
    assert len(record()) == len(frame) == 3


def test_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        record().radius = np.ones(3)  # type: ignore[misc]


@pytest.mark.parametrize(
    "changes",
    [
        {"radius": np.ones((3, 3))},
        {"margin": np.ones(2)},
        {"status": np.array([Status.certified], dtype=object)},
        {"radius": np.array(1.0)},
    ],
)
def test_columns_of_unequal_length_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="one entry per input"):
        record(**changes)


@pytest.mark.parametrize("bad", [-1.0, math.nan, -1e-300])
def test_a_radius_that_is_no_radius_is_refused(bad: float) -> None:
    with pytest.raises(UserError, match=">= 0"):
        record(radius=np.array([bad, 0.0, 0.0]))


def test_it_prints_as_one_line() -> None:
    text = "Certificate(Lp(2), level='closed-form': 2 of 3 certified, median radius inf)"
    assert repr(record()) == text


def test_statuses_are_the_words_of_the_tables() -> None:
    assert {str(status) for status in Status} == {
        "certified",
        "not_sensitive",
        "boundary",
        "non_finite",
        "unknown_category",
        "unreadable",
        "too_large",
        "outside_domain",
        "not_computed",
        "unbounded",
    }


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, [1.0, 0.0], torch.full((2,), math.inf)])
def test_costs_that_are_no_costs_are_refused(bad: Any) -> None:
    with pytest.raises(UserError, match="cost"):
        Lp(2, bad)
