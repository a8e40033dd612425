"""Which tests ``make test-fast`` leaves out: the most expensive ones, by measurement.

Every run of the whole suite adds up what each test function took, all its parameters together, in
``build/durations.txt``. ``make slow-list`` turns that into ``slow.txt``: the cheapest functions that fit
into ``BUDGET`` stay, the others are listed; so the fast lane keeps its length however many tests there
are. A test that is not measured yet runs; if such tests outgrow the budget, the end of the run names them.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

LIST = Path(__file__).parent / "slow.txt"
DURATIONS = Path("build") / "durations.txt"
# Seconds of tests, on all workers together; collecting them takes some 15 seconds of two workers' time.
BUDGET = 140.0
# So much more than the budget, before the end of a run says so.
TOO_MUCH = 1.25


def function_of(nodeid: str) -> str:
    """A test without its parameters."""
    return nodeid.partition("[")[0]


def beyond_the_budget(spent: Mapping[str, float], budget: float) -> list[str]:
    """The functions that do not fit into the budget after all cheaper ones, by name.

    >>> beyond_the_budget({"a": 3.0, "b": 1.0, "c": 2.0}, budget=3.5)
    ['a']
    """
    left, beyond = budget, []
    for name in sorted(spent, key=lambda name: (spent[name], name)):
        left -= spent[name]
        if left < 0:
            beyond.append(name)
    return sorted(beyond)


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Stopwatch(config), "stopwatch")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what is listed.

    Raises:
        pytest.UsageError: a listed test is no longer in its file.
    """
    listed = set(LIST.read_text(encoding="utf-8").split())
    known = {function_of(item.nodeid) for item in items}
    for item in items:
        if function_of(item.nodeid) in listed:
            item.add_marker(pytest.mark.slow)
    if any("::" in argument for argument in config.args):
        return
    files = {name.partition("::")[0] for name in known}
    gone = [name for name in sorted(listed - known) if name.partition("::")[0] in files]
    if gone:
        raise pytest.UsageError(
            f"{LIST.name} names tests that do not exist: {', '.join(gone)}; remove or rename them there"
        )


class Stopwatch:
    """Adds up what every test takes, set-up included; keeps it where the whole suite ran."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.spent: defaultdict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.spent[function_of(report.nodeid)] += report.duration

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        finished = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        if finished and self.spent and self._is("") and self._is_everything():
            path = self.config.rootpath / DURATIONS
            path.parent.mkdir(exist_ok=True)
            lines = (f"{seconds:.3f} {name}\n" for name, seconds in sorted(self.spent.items()))
            path.write_text("".join(lines), encoding="utf-8")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        total = sum(self.spent.values())
        if self._is("not slow") and total > TOO_MUCH * BUDGET:
            terminalreporter.section("slow tests that are not listed")
            terminalreporter.write_line(
                f"the fast tests took {total:.0f} s of two workers' time, not {BUDGET:.0f}; unless the "
                "machine is busy, run make test and make slow-list. Longest:"
            )
            for name in sorted(self.spent, key=self.spent.__getitem__, reverse=True)[:10]:
                terminalreporter.write_line(f"{self.spent[name]:6.1f} s  {name}")

    def _is(self, marks: str) -> bool:
        return bool(self.config.getoption("markexpr") == marks)

    def _is_everything(self) -> bool:
        wanted = [Path(argument).resolve() for argument in self.config.args]
        paths = [(self.config.rootpath / path) for path in self.config.getini("testpaths")]
        less = ("keyword", "maxfail", "deselect", "ignore", "lf")
        return wanted in (paths, [self.config.rootpath]) and not any(
            self.config.getoption(option, None) for option in less
        )


def read_durations(lines: Iterable[str]) -> dict[str, float]:
    """Seconds by function, as a run of the whole suite wrote them."""
    pairs = (line.split(maxsplit=1) for line in lines)
    return {name.strip(): float(seconds) for seconds, name in pairs}


def main() -> None:
    """``make slow-list``: write the list from the durations of the last run.

    Raises:
        SystemExit: there was none.
    """
    if not DURATIONS.exists():
        raise SystemExit(f"{DURATIONS} is missing; run the whole suite first, with make test")
    spent = read_durations(DURATIONS.read_text(encoding="utf-8").splitlines())
    names = beyond_the_budget(spent, BUDGET)
    LIST.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    print(f"{len(names)} of {len(spent)} test functions are left out of the fast tests")


if __name__ == "__main__":
    main()
