import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featureconvex.data import TEST_FRACTION, stratified_split
from featureconvex.errors import UserError


@given(counts=st.lists(st.integers(2, 60), min_size=1, max_size=5), fraction=st.floats(0.01, 0.99))
def test_partition_with_the_share_asked_for(counts: list[int], fraction: float) -> None:
    strata = np.repeat(np.arange(len(counts)), counts)
    train, test = stratified_split(strata, fraction)
    assert sorted([*train, *test]) == list(range(len(strata)))
    for stratum, count in enumerate(counts):
        held_out = int((strata[test] == stratum).sum())
        assert 1 <= held_out <= count - 1
        assert abs(held_out - fraction * count) <= 1


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
