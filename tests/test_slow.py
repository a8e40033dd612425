"""The list of slow tests is strict: a test that is gone from its file is named."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests import slow


def collected(name: str, marks: list[str]) -> Any:
    return SimpleNamespace(nodeid=name, add_marker=lambda mark: marks.append(f"{name} {mark.name}"))


def test_listed_tests_are_marked_and_missing_ones_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slow, "LIST", tmp_path / "slow.txt")
    slow.LIST.write_text("a.py::test_long\nelsewhere.py::test_long\n")
    config: Any = SimpleNamespace(args=["tests"], getoption=lambda _: False)
    marks: list[str] = []
    items = [collected(name, marks) for name in ("a.py::test_long[1]", "a.py::test_short")]
    slow.pytest_collection_modifyitems(config, items)
    assert marks == ["a.py::test_long[1] slow"]
    with pytest.raises(pytest.UsageError, match=r"not exist: a\.py::test_long; remove"):
        slow.pytest_collection_modifyitems(config, items[1:])
    config.args = ["a.py::test_short"]
    slow.pytest_collection_modifyitems(config, items[1:])


def test_parameters_are_added_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow, "LIST", tmp_path / "slow.txt")
    watch = slow.Stopwatch()
    for name, seconds in (("a[1]", 1.1), ("a[2]", 1.1), ("b", 1.9)):
        report: Any = SimpleNamespace(nodeid=name, duration=seconds)
        watch.pytest_runtest_logreport(report)
    watch.pytest_sessionfinish()
    assert slow.LIST.read_text() == "a\n"
