import os
import pickle
from typing import Any

import numpy as np
import pytest

from featureconvex.data.named_tasks import safe_pickle


@pytest.mark.parametrize("protocol", range(5))
def test_plain_values_and_arrays_come_back(protocol: int) -> None:
    value = {
        "data": np.arange(12, dtype=np.uint8).reshape(3, 4),
        "labels": [0, 9],
        "names": [np.bytes_(b"a"), b"b", "c"],
        "number": np.float64(2.5),
    }
    back = safe_pickle.loads(pickle.dumps(value, protocol=protocol))
    np.testing.assert_array_equal(back.pop("data"), value.pop("data"))
    assert back == value


class Attack:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch harmed",)


class Codec:
    def __reduce__(self) -> tuple[Any, ...]:
        import codecs

        return codecs.encode, ("text", "rot13")


class NotAnArray:
    def __reduce__(self) -> tuple[Any, ...]:
        return np.array([0]).__reduce__()[0], (np.recarray, (0,), b"b")


@pytest.mark.parametrize(
    "value", [Attack(), [Attack()], print, Codec(), NotAnArray(), np.array([{}], dtype=object)]
)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_anything_else_is_refused(value: object, protocol: int) -> None:
    with pytest.raises(safe_pickle.ForbiddenNameError, match="it asks for"):
        safe_pickle.loads(pickle.dumps(value, protocol=protocol))


def test_object_arrays_are_refused_by_type() -> None:
    with pytest.raises(safe_pickle.ForbiddenNameError, match="array of type 'O8'"):
        safe_pickle.loads(pickle.dumps(np.array([None]), protocol=2))
