"""Which tests take long, by measurement: ``slow.txt`` names them, ``make test-fast`` leaves them out.

A function stands there if all its parameters together took ``LONGEST`` seconds or more. ``pytest
--measure-slow`` (``make slow-list``, on a quiet machine) writes the list anew.
"""

from collections import defaultdict
from pathlib import Path

import pytest

LIST = Path(__file__).parent / "slow.txt"
LONGEST = 2.0


def function_of(nodeid: str) -> str:
    """A test without its parameters."""
    return nodeid.partition("[")[0]


def pytest_addoption(parser: pytest.Parser) -> None:
    words = f"write the tests that take {LONGEST:g} s or more to {LIST.name}"
    parser.addoption("--measure-slow", action="store_true", help=words)


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--measure-slow") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Stopwatch())


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
    if any("::" in argument for argument in config.args) or config.getoption("--measure-slow"):
        return
    files = {name.partition("::")[0] for name in known}
    gone = [name for name in sorted(listed - known) if name.partition("::")[0] in files]
    if gone:
        raise pytest.UsageError(
            f"{LIST.name} names tests that do not exist: {', '.join(gone)}; remove or rename them there"
        )


class Stopwatch:
    """Adds up what every test takes, set-up included."""

    def __init__(self) -> None:
        self.spent: defaultdict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.spent[function_of(report.nodeid)] += report.duration

    def pytest_sessionfinish(self) -> None:
        slow = sorted(name for name, seconds in self.spent.items() if seconds >= LONGEST)
        LIST.write_text("".join(f"{name}\n" for name in slow), encoding="utf-8")
