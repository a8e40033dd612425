"""Pages of text under test: the code they print, and the scripts that fill their tables."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent


def run_python(page: Path) -> int:
    """Run the page's Python blocks as printed, one after the other in one namespace; how many there are."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    namespace: dict[str, object] = {"__name__": page.stem}
    for block in blocks:
        exec(compile(block, page.name, "exec"), namespace)
    return len(blocks)


def script(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A script of ``benchmarks/`` as a module; scripts beside it can be imported by it."""
    monkeypatch.setattr(sys, "path", [str(ROOT / "benchmarks"), *sys.path])
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


def local_links(page: Path) -> list[Path]:
    """What the page links to in this repository."""
    targets = re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
    return [page.parent / target for target in targets if not target.startswith("http")]
