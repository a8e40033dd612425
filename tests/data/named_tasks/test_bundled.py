import numpy as np
import pytest
import torch

from featureconvex.data import Dataset, find_task, to_tensor


def rows(dataset: Dataset) -> set[bytes]:
    return {row.tobytes() for row in dataset.test.x}


def test_mnist_mini() -> None:
    data = find_task("mnist-mini-3-8").load()
    assert data.train.x.shape == (800, 1, 28, 28)
    assert data.test.x.shape == (200, 1, 28, 28)
    assert data.train.x.dtype == np.uint8
    assert data.train.y.mean() == data.test.y.mean() == 0.5
    assert data.train.x.max() == 255


def test_the_reversed_pair_has_the_same_pictures_and_opposite_labels() -> None:
    one, other = find_task("mnist-mini-3-8").load(), find_task("mnist-mini-8-3").load()
    np.testing.assert_array_equal(one.test.x, other.test.x)
    np.testing.assert_array_equal(one.test.y, 1 - other.test.y)


@pytest.mark.parametrize("family", ["mnist-mini", "digits"])
def test_a_test_picture_of_one_pair_trains_no_other(family: str) -> None:
    one, other = find_task(f"{family}-3-8").load(), find_task(f"{family}-3-5").load()
    train = {row.tobytes() for row in other.train.x}
    assert not rows(one) & train


def test_digits_are_exact_sixteenths() -> None:
    data = find_task("digits-3-8").load()
    x = to_tensor(data.train.x)
    assert x.shape[1:] == (1, 8, 8)
    assert x.dtype == torch.float32
    assert x.min() == 0
    assert x.max() == 1
    assert torch.equal(x * 16, (x * 16).round())
    assert find_task("digits-3-8").size == (
        f"about {len(data.train)} + {len(data.test)} images of 8 x 8"
    )


def test_breast_cancer() -> None:
    data = find_task("breast-cancer").load()
    assert find_task("breast-cancer").size == (
        f"{len(data.train)} + {len(data.test)} rows of 30 features"
    )
    assert data.train.y.sum() + data.test.y.sum() == 212
    assert data.feature_names is not None
    assert data.feature_names[0] == "mean radius"
    assert data.train.x.shape[1] == len(data.feature_names) == 30
    assert to_tensor(data.test.x).dtype == torch.float64


@pytest.mark.parametrize("name", ["mnist-mini-3-8", "digits-0-1", "breast-cancer"])
def test_nothing_needs_to_be_found(name: str) -> None:
    location = find_task(name).locate()
    assert location.found
    assert location.where.startswith("shipped with ")
