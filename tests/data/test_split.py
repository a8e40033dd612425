import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featureconvex.data import TEST_FRACTION, hold_out, stratified_split
from featureconvex.errors import UserError


@given(counts=st.lists(st.integers(2, 60), min_size=1, max_size=5), fraction=st.floats(0.01, 0.99))
def test_partition_with_the_share_asked_for(counts: list[int], fraction: float) -> None:
    strata = np.repeat(np.arange(len(counts)), counts)
    train, test = stratified_split(strata, fraction)
    assert sorted([*train, *test]) == list(range(len(strata)))
    for stratum, count in enumerate(counts):
        held = int((strata[test] == stratum).sum())
        assert 1 <= held <= count - 1
        assert abs(held - fraction * count) <= 1


def test_equal_on_every_machine() -> None:
    train, test = stratified_split(np.array(["a"] * 10 + ["b"] * 10))
    assert TEST_FRACTION == 0.2
    assert test.tolist() == GOLDEN_TEST
    assert len(train) == 16


GOLDEN_TEST = [11, 3, 13, 2]


def test_prefixes_are_mixed() -> None:
    strata = np.repeat([0, 1], 500)
    for rows in stratified_split(strata):
        assert 0.3 < strata[rows[:100]].mean() < 0.7


def test_a_lone_example_is_refused() -> None:
    with pytest.raises(UserError, match="class 'rare' has 1 example"):
        stratified_split(np.array(["often", "often", "rare"]))


@given(
    counts=st.lists(st.integers(1, 60), min_size=1, max_size=5),
    fraction=st.floats(0, 1),
    seed=st.integers(0, 99),
)
def test_every_class_holds_out_its_share(counts: list[int], fraction: float, seed: int) -> None:
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(len(counts)), counts))
    held = hold_out(labels, fraction, seed)
    for label, count in enumerate(counts):
        assert held[labels == label].sum() == max(1, round(fraction * count))


def test_the_rows_held_out_are_those_of_earlier_versions() -> None:
    held = hold_out(np.array([0] * 12 + [1] * 25), 0.2, seed=7)
    assert np.flatnonzero(held).tolist() == [4, 6, 12, 16, 21, 30, 32]
