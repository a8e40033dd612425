"""Classes of the user's own data, each of which is to stay what it is: their order and numbers."""

import numpy as np
import pytest

from featureconvex.data.classes.order import in_order
from featureconvex.data.classes.own import OwnClasses


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["10", "9", "-1.5"], ("-1.5", "9", "10")),
        (["10", "9", "b"], ("10", "9", "b")),
        (["nan", "2", "10"], ("10", "2", "nan")),
        (["b", "a"], ("a", "b")),
    ],
)
def test_numbers_are_in_the_order_of_their_values(
    names: list[str], expected: tuple[str, ...]
) -> None:
    assert tuple(in_order(names)) == expected


def test_labels_are_the_numbers_of_their_names() -> None:
    labels = np.array(["10", "9", "1", "9", "1", "10"])
    halves = np.array([0, 1, 2]), np.array([3, 4, 5])
    found = OwnClasses(("1", "9", "10")).dataset(
        np.arange(6.0)[:, None],
        labels,
        halves,
        name="own",
        kind="table",
        source="a test",
    )
    assert found.classes == ("1", "9", "10")
    assert found.train.y.tolist() == [2, 1, 0]
    assert found.test.y.tolist() == [1, 0, 2]
