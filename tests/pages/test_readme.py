"""The README and CONTRIBUTING tell the truth: their code runs, their tables are the committed results."""

import re
from pathlib import Path

import pytest
from tests.pages.pages import ROOT, local_links, run_page, script

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]


@pytest.mark.usefixtures("few_pilots", "undrawn")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_its_code_runs_as_printed(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_page(page, monkeypatch) >= 2


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_it_links_to_exists(page: Path) -> None:
    for target in local_links(page):
        assert target.exists(), target


def test_tables_are_the_committed_results(monkeypatch: pytest.MonkeyPatch) -> None:
    module = script("readme", monkeypatch)
    for page in module.PAGES:
        text = page.read_text(encoding="utf-8")
        assert module.filled(text) == text


def test_the_readme_fits_a_screen() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 100
    for command in ("make demo", "make test", "pip install"):
        assert command in text


def test_contributing_names_every_room() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    house = text.split("## The house")[1].split("\n## ")[0]
    named = set(re.findall(r"`(\w+)`", " ".join(line.split("|")[1] for line in rows_of(house))))
    rooms = {path.parent.name for path in (ROOT / "src" / "featureconvex").glob("*/__init__.py")}
    assert named == rooms


def rows_of(text: str) -> list[str]:
    """The lines of the table that a text has, without its head."""
    return [line for line in text.splitlines() if line.startswith("|")][2:]
