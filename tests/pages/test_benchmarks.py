"""Benchmarks: what pages and code call by name is there, and every script runs by itself."""

import ast
import re
from pathlib import Path

import pytest
from tests.pages.pages import ROOT

BENCHMARKS = ROOT / "benchmarks"
SCRIPTS = sorted(BENCHMARKS.rglob("*.py"))
TEXTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *(ROOT / "docs").glob("*.md"),
    *SCRIPTS,
    *(ROOT / "src").rglob("*.py"),
]


def named(text: str) -> list[str]:
    """Every script that a text names by its path."""
    return re.findall(r"benchmarks/[\w/]+\.py", text)


def test_every_script_that_is_named_is_there() -> None:
    found = {name for path in TEXTS for name in named(path.read_text(encoding="utf-8"))}
    assert len(found) > 20
    assert [name for name in sorted(found) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_imports_what_is_in_its_room_at_most(script: Path) -> None:
    room = BENCHMARKS / script.relative_to(BENCHMARKS).parts[0]
    others = {path.stem for path in SCRIPTS} | {path.parent.name for path in SCRIPTS}
    tree = ast.parse(script.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in (name.partition(".")[0] for name in names):
            own = (room / f"{name}.py").exists() or (room / name).is_dir()
            assert own or name not in others, name
