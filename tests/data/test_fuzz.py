"""Damaged and odd tables, schemas and files are read right or refused in words; never a traceback."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from tests.data.fuzzing import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_read_right_or_refused(kind: str, tmp_path: Path) -> None:
    strategy, check = KINDS[kind]
    read = []

    @given(strategy)
    @settings(max_examples=60)
    def all_of_them(drawn: Any) -> None:
        read.append(check(drawn, tmp_path))

    all_of_them()
    assert any(read)
    assert not all(read)
