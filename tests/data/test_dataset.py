import numpy as np
import pytest
import torch

from featureconvex.data import Dataset, Split, to_tensor
from featureconvex.errors import UserError


def split(labels: list[int]) -> Split:
    return Split(np.zeros((len(labels), 2)), np.array(labels, dtype=np.int8))


def test_uint8_images_are_divided_by_255_correctly_rounded() -> None:
    x = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    tensor = to_tensor(x)
    assert tensor.dtype == torch.float32
    assert tensor.shape == x.shape
    np.testing.assert_array_equal(tensor.numpy(), (x / 255).astype(np.float32))


def test_tables_keep_their_units_and_their_memory_apart() -> None:
    x = np.array([[-3.0, 1e9]])
    tensor = to_tensor(x)
    assert tensor.dtype == torch.float64
    tensor.zero_()
    assert x[0, 1] == 1e9


def test_read_only_arrays_are_accepted() -> None:
    x = np.zeros((2, 3))
    x.flags.writeable = False
    assert to_tensor(x).shape == (2, 3)


@pytest.mark.parametrize("value", [-0.1, 1.5, np.nan])
def test_float_images_outside_the_unit_interval_are_refused(value: float) -> None:
    with pytest.raises(UserError, match=r"must lie in \[0, 1\]"):
        to_tensor(np.full((1, 1, 2, 2), value, dtype=np.float32))


def test_unknown_units_are_refused() -> None:
    with pytest.raises(UserError, match="int64 have no known unit"):
        to_tensor(np.zeros((1, 2), dtype=np.int64))


def test_labels_must_pair_up_and_be_binary() -> None:
    with pytest.raises(UserError, match="3 inputs but 2 labels"):
        Split(np.zeros((3, 1)), np.zeros(2, dtype=np.int8))
    with pytest.raises(UserError, match="labels must be int8"):
        split([0, 2])
    with pytest.raises(UserError, match="labels must be int8"):
        Split(np.zeros((1, 1)), np.zeros(1, dtype=np.int64))


def test_a_split_without_one_class_is_refused_by_name() -> None:
    with pytest.raises(UserError, match="the test data from here has no example of class 'spam'"):
        Dataset(
            name="mails",
            train=split([0, 1]),
            test=split([0, 0]),
            kind="table",
            sensitive_name="spam",
            other_name="ham",
            source="here",
        )
