"""The README tells the truth: its code runs, its tables are the committed results."""

from pathlib import Path

import pytest
from tests.pages import ROOT, local_links, run_python, script

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_python_runs_as_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_python(ROOT / "README.md") >= 3


def test_tables_are_the_committed_results(monkeypatch: pytest.MonkeyPatch) -> None:
    assert script("readme", monkeypatch).filled(README) == README


def test_what_it_links_to_exists() -> None:
    for target in local_links(ROOT / "README.md"):
        assert target.exists(), target


def test_make_knows_its_two_commands() -> None:
    targets = (ROOT / "Makefile").read_text()
    for command in ("demo", "test"):
        assert f"make {command}" in README
        assert f"\n{command}:" in targets
