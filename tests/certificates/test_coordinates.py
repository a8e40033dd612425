"""Which coordinates ``immutable`` and ``direction`` mean, and that nothing is guessed."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import featureconvex as fc

D = 4
NAMES = ["age", "income", "debt", "0"]
X = torch.full((2, D), 0.5)


def moves(box: fc.Box, x: torch.Tensor = X) -> list[str]:
    """For each coordinate of the first row, whether it may go down (-) and up (+)."""
    lo, hi = box.bounds(x)
    down, up = (lo < x)[0].flatten(), (hi > x)[0].flatten()
    return ["-" * int(a) + "+" * int(b) for a, b in zip(down, up, strict=True)]


FIXED = ["-+", "", "-+", ""]
SPELLINGS: dict[str, Any] = {
    "bools": [False, True, False, True],
    "a tuple of bools": (False, True, False, True),
    "an array of bools": np.array([False, True, False, True]),
    "a tensor of bools": torch.tensor([False, True, False, True]),
    "a series of bools": pd.Series([False, True, False, True]),
    "indices": [1, 3],
    "the other order": [3, 1],
    "from the end": [-1, 1],
    "an array of indices": np.array([1, 3], dtype=">i2"),
    "a reversed array": np.array([3, 1])[::-1],
    "a tensor of indices": torch.tensor([1, 3]),
    "a range": range(1, 4, 2),
    "a set": {1, 3},
    "names": ["income", "0"],
    "an array of names": np.array(["income", "0"], dtype=object),
    "an index of names": pd.Index(["income", "0"]),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_means_the_same(spelling: str) -> None:
    assert moves(fc.Box(0, 1, immutable=SPELLINGS[spelling]).named(NAMES)) == FIXED


@pytest.mark.parametrize(
    "direction",
    [
        [0, 1, 0, -1],
        np.array([0.0, 1, 0, -1]),
        torch.tensor([0, 1, 0, -1]),
        {1: 1, -1: -1},
        {"income": 1, "0": -1},
        {np.int64(1): np.int64(1), "0": -1},
    ],
)
def test_directions(direction: Any) -> None:
    assert moves(fc.Box(0, 1, direction=direction).named(NAMES)) == ["-+", "+", "-+", "-"]


def test_one_value_for_all_and_none() -> None:
    assert moves(fc.Box(0, 1, immutable=True)) == [""] * D
    assert moves(fc.Box(0, 1, direction=1)) == ["+"] * D
    for empty in ([], (), np.array([], dtype=int), [False] * D):
        assert moves(fc.Box(0, 1, immutable=empty, direction={})) == ["-+"] * D


WRONG: dict[str, Any] = {
    "a bit for each coordinate": [0, 1, 0, 1],
    "distinct bits": np.array([1, 0, 0, 0]),
    "bits of a tensor": torch.tensor([0, 1, 0, 1], dtype=torch.uint8),
    "a mask too short": [True],
    "a mask of the wrong length": [True, False, True],
    "a mask of one row": [[True, False, True, False]],
    "out of range": [4],
    "out of range below": [-5],
    "twice": [1, 1],
    "twice from the end": [1, -3],
    "a number": 3,
    "a numpy number": np.int64(1),
    "floats": [1.0, 3.0],
    "text": "age",
    "a mixture": ["age", 1],
    "bools and indices": [True, 3],
    "nothing known": [None],
    "a name twice": ["age", "age"],
    "an unknown name": ["wage"],
    "a mapping": {"age": True},
    "ragged": [[1], [2, 3]],
}


@pytest.mark.parametrize("case", WRONG)
def test_what_says_nothing_clear_is_refused(case: str) -> None:
    with pytest.raises(fc.UserError, match="immutable"):
        fc.Box(0, 1, immutable=WRONG[case]).named(NAMES).bounds(X)


WRONG_WAYS: dict[str, Any] = {
    "an index list": [3],
    "the one index": [1],
    "too short": [1, 0],
    "two": [2, 0, 0, 0],
    "bools": [True, False, True, False],
    "text": "up",
    "a mapping of flags": {0: True},
    "a mapping to two": {0: 2},
    "a mapping to zero": {0: 0},
    "a mapping to text": {0: "up"},
    "a key out of range": {4: 1},
    "a key twice": {1: 1, -3: 1},
    "a key that is no column": {1.5: 1},
    "an unknown name": {"wage": 1},
    "a row": [[1, 0, 0, 0]],
}


@pytest.mark.parametrize("case", WRONG_WAYS)
def test_what_names_no_direction_is_refused(case: str) -> None:
    with pytest.raises(fc.UserError, match="direction"):
        fc.Box(0, 1, direction=WRONG_WAYS[case]).named(NAMES).bounds(X)


def test_the_two_readings_are_shown() -> None:
    with pytest.raises(fc.UserError) as caught:
        fc.Box(0, 1, immutable=[0, 1, 1]).bounds(X[:, :3])
    assert "[False, True, True]" in str(caught.value)
    assert "[0, 1]" in str(caught.value)
    # As many indices as coordinates: only bools tell.
    with pytest.raises(fc.UserError, match=r"\[True, True\]"):
        fc.Box(0, 1, immutable=[0, 1]).bounds(X[:, :2])
    assert moves(fc.Box(0, 1, immutable=[0, 1])) == ["", "", "-+", "-+"]
    # Following the advice must not free what was to be fixed.
    with pytest.raises(fc.UserError, match="coordinate 1, but an input has 1 coordinate, 0 to 0"):
        fc.Box(0, 1, immutable=[1]).bounds(X[:, :1])
    with pytest.raises(fc.UserError, match=r"twice: \[1, 1\]; if it is a mask, .*\[True, True\]"):
        fc.Box(0, 1, immutable=[1, 1])


@given(st.lists(st.booleans(), min_size=1, max_size=6))
def test_a_mask_its_indices_and_its_names_agree(mask: list[bool]) -> None:
    x = torch.full((1, len(mask)), 0.5)
    names = [f"column {i}" for i in range(len(mask))]
    indices = [i for i, fixed in enumerate(mask) if fixed]
    expected = moves(fc.Box(0, 1, immutable=mask), x)
    assert expected == ["" if fixed else "-+" for fixed in mask]
    assert moves(fc.Box(0, 1, immutable=[names[i] for i in indices]).named(names), x) == expected
    if not (set(indices) <= {0, 1} and len(indices) == len(mask)):
        assert moves(fc.Box(0, 1, immutable=indices), x) == expected
    ways = [1 if fixed else 0 for fixed in mask]
    by_index = fc.Box(0, 1, direction=dict.fromkeys(indices, 1))
    assert moves(fc.Box(0, 1, direction=ways), x) == moves(by_index, x)


def test_masks_of_images() -> None:
    x = torch.full((1, 3, 2, 2), 0.5)
    whole = torch.rand(3, 2, 2) < 0.5
    for mask in (whole, whole[:1], whole[0], torch.tensor([True, False, True])[:, None, None]):
        expected = ["" if fixed else "-+" for fixed in mask.expand(3, 2, 2).flatten()]
        assert moves(fc.Box(0, 1, immutable=mask), x) == expected
    for bad in ([True], [1], [0, 1], torch.ones(3, 2, 2, dtype=torch.int64)):
        with pytest.raises(fc.UserError, match=r"immutable|mask"):
            fc.Box(0, 1, immutable=bad).bounds(x)


@pytest.fixture(scope="module")
def detector() -> fc.FeatureConvexClassifier:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, D)), columns=NAMES)
    labels = (frame["age"] + frame["debt"] > 0).astype(int)
    clf = fc.FeatureConvexClassifier(hidden=(4,), epochs=3, temperature=0.3, random_state=0)
    return clf.fit(frame, labels)


def test_a_detector_resolves_the_names_it_was_fitted_with(
    detector: fc.FeatureConvexClassifier,
) -> None:
    frame = pd.DataFrame(np.random.default_rng(1).normal(size=(20, D)), columns=NAMES)
    by_name = fc.Box(-5, 5, ["income", "0"], {"age": 1})
    by_index = fc.Box(-5, 5, [1, 3], {0: 1})
    for level in ("closed-form", "domain", "tight"):
        named = detector.certify(frame, fc.Lp(2), by_name, level)
        np.testing.assert_array_equal(
            named.radius, detector.certify(frame, fc.Lp(2), by_index, level).radius
        )
    attacked = fc.attack(detector, frame.to_numpy(), fc.Lp(2), by_name, steps=5)
    np.testing.assert_array_equal(attacked.adversarial[:, [1, 3]], frame.to_numpy()[:, [1, 3]])
    assert (attacked.adversarial[:, 0] >= frame["age"]).all()
    by_frame = fc.attack(detector, frame, fc.Lp(2), by_name, steps=5)
    np.testing.assert_array_equal(by_frame.distance, attacked.distance)
    with pytest.raises(ValueError, match="same order"):
        fc.attack(detector, frame[NAMES[::-1]], fc.Lp(2), by_name, steps=5)
    with pytest.raises(fc.UserError, match=r"'wage'.*'age'"):
        detector.certify(frame, fc.Lp(2), fc.Box(-5, 5, ["wage"]), "domain")


@pytest.mark.parametrize("level", ["closed-form", "domain", "tight", "sound"])
def test_a_model_without_names_refuses_them(level: str) -> None:
    model = fc.FeatureConvexModel(fc.features.Identity(), fc.nn.MaxAffine(D, 2))
    for box in (fc.Box(0, 1, ["age"]), fc.Box(0, 1, direction={"age": 1})):
        with pytest.raises(fc.UserError, match="no column names"):
            fc.certify(model, X, fc.Lp(2), box, level)


def test_an_index_list_does_not_fix_every_coordinate() -> None:
    net = fc.nn.MaxAffine(D, 1)
    with torch.no_grad():
        net.affine.weight.copy_(torch.tensor([[1.0, 2.0, 2.0, 4.0]]))
        net.affine.bias.zero_()
    model = fc.FeatureConvexModel(fc.features.Identity(), net)
    made: list[Callable[[], fc.Box]] = [
        lambda: fc.Box(-9, 9, immutable=[3]),
        lambda: fc.Box(-9, 9, immutable=[False, False, False, True]),
    ]
    for box in made:
        radius = fc.certify(model, X, fc.Lp(2), box(), "domain").radius
        np.testing.assert_allclose(radius, 4.5 / 3, rtol=1e-6)
