"""JSON as any strict parser reads it, whatever the strings hold."""

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from featureconvex.results.strict_json import dump_json

WORDS = st.text(alphabet='ab [](){}",\\\n:', max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS,
    lambda part: st.lists(part, max_size=6) | st.dictionaries(WORDS, part, max_size=4),
    max_leaves=30,
)


def finite(value: object) -> object:
    """The value as the file holds it."""
    if isinstance(value, float) and math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if isinstance(value, list):
        return [finite(part) for part in value]
    if isinstance(value, dict):
        return {key: finite(part) for key, part in value.items()}
    return value


@given(VALUES)
def test_what_is_written_is_what_was_meant(value: object) -> None:
    assert json.loads(dump_json(value)) == finite(value)


def test_brackets_in_names_take_no_time() -> None:
    """The features of spambase: a pattern that can match a line in two ways never comes to an end."""
    names = [f"word_freq_{k}" for k in range(48)] + ["char_freq_[", "char_freq_("]
    assert json.loads(dump_json({"names": names})) == {"names": names}


def test_a_list_of_plain_values_takes_one_line() -> None:
    assert dump_json({"a": [1, None, "x y"]}) == '{\n  "a": [1, null, "x y"]\n}\n'
    assert len(dump_json([[1.5] * 40]).splitlines()) == 3
