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
    config: Any = SimpleNamespace(args=["tests"])
    marks: list[str] = []
    items = [collected(name, marks) for name in ("a.py::test_long[1]", "a.py::test_short")]
    slow.pytest_collection_modifyitems(config, items)
    assert marks == ["a.py::test_long[1] slow"]
    with pytest.raises(pytest.UsageError, match=r"not exist: a\.py::test_long; remove"):
        slow.pytest_collection_modifyitems(config, items[1:])
    config.args = ["a.py::test_short"]
    slow.pytest_collection_modifyitems(config, items[1:])


def watched(root: Path, **options: Any) -> slow.Stopwatch:
    """The stopwatch of a run of everything, unless options say otherwise, that took 4.1 s."""
    given = {"markexpr": "", **options}
    config: Any = SimpleNamespace(
        rootpath=root,
        args=[str(root / path) for path in given.pop("args", ("tests", "src"))],
        getini=lambda _: ["tests", "src"],
        getoption=lambda name, default=None: given.get(name, default),
    )
    watch = slow.Stopwatch(config)
    for name, seconds in (("a[1]", 1.1), ("a[2]", 1.1), ("b", 1.9)):
        report: Any = SimpleNamespace(nodeid=name, duration=seconds)
        watch.pytest_runtest_logreport(report)
    return watch


def test_a_run_of_everything_keeps_what_each_function_took(tmp_path: Path) -> None:
    watched(tmp_path).pytest_sessionfinish(0)
    lines = (tmp_path / slow.DURATIONS).read_text().splitlines()
    assert slow.read_durations(lines) == {"a": 2.2, "b": 1.9}


@pytest.mark.parametrize(
    "options",
    [{"markexpr": "not slow"}, {"keyword": "a"}, {"args": ("tests",)}, {"deselect": ["b"]}],
)
def test_a_run_of_less_keeps_nothing(options: dict[str, Any], tmp_path: Path) -> None:
    watched(tmp_path, **options).pytest_sessionfinish(0)
    assert not (tmp_path / slow.DURATIONS).exists()


def test_a_run_that_was_cut_short_keeps_nothing(tmp_path: Path) -> None:
    watched(tmp_path).pytest_sessionfinish(int(pytest.ExitCode.INTERRUPTED))
    assert not (tmp_path / slow.DURATIONS).exists()


def test_the_list_is_what_does_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(slow, "LIST", tmp_path / "slow.txt")
    monkeypatch.setattr(slow, "BUDGET", 2.0)
    with pytest.raises(SystemExit, match="run the whole suite first"):
        slow.main()
    watched(tmp_path).pytest_sessionfinish(0)
    slow.main()
    assert slow.LIST.read_text() == "a\n"


@pytest.mark.parametrize(
    ("marks", "budget", "said"), [("not slow", 2, 1), ("not slow", 4, 0), ("", 2, 0)]
)
def test_fast_tests_that_are_not_say_so(
    marks: str, budget: float, said: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slow, "BUDGET", budget)
    lines: list[str] = []
    reporter: Any = SimpleNamespace(section=lines.append, write_line=lines.append)
    watched(tmp_path, markexpr=marks).pytest_terminal_summary(reporter)
    assert bool(lines) == bool(said)
    assert not said or lines[2].split() == ["2.2", "s", "a"]
