"""Pages of text under test: every block of code they print, and the scripts that fill their tables."""

import importlib.util
import re
import shlex
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.testing import CliRunner

ROOT = Path(__file__).resolve().parents[2]


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and content of the page's fenced blocks, in their order."""
    text = page.read_text(encoding="utf-8")
    return re.findall(r"^```([^\n]*)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


# Of training on pages: no page shows what a model became.
EPOCHS = 3
TRAINING = {
    "featureconvex.training.fit": "train",
    "featureconvex.baselines.scored_network": "train_network",
}


def run_page(page: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run what the page prints, in its order and in the present folder; how many blocks there are.

    Training is cut short.

    Python shares one namespace. Commands of ``featureconvex`` are run; other lines of a shell must be one
    of those that :func:`check_command` knows. A directive of the site is no code.
    """
    for name, function in TRAINING.items():
        module = importlib.import_module(name)
        monkeypatch.setattr(module, function, cut_short(getattr(module, function)))
    namespace: dict[str, object] = {"__name__": page.stem}
    count = 0
    for language, content in blocks(page):
        if language == "python":
            exec(compile(content, page.name, "exec"), namespace)
        elif language == "sh":
            for line in content.splitlines():
                run_command(line)
        else:
            assert language.startswith("{"), f"{page.name}: code in {language!r} that nobody runs"
            continue
        count += 1
    return count


def cut_short(train: Callable[..., Any]) -> Callable[..., Any]:
    """``train`` for a few epochs, whether a recipe or an argument says how many."""

    def short(*arguments: Any, **options: Any) -> Any:
        if "epochs" in options:
            options["epochs"] = min(options["epochs"], EPOCHS)
        else:
            model, recipe, *others = arguments
            arguments = (model, recipe.replace(epochs=min(recipe.epochs, EPOCHS)), *others)
        return train(*arguments, **options)

    return short


def run_command(line: str) -> None:
    """Run a line that calls ``featureconvex``; look any other one up."""
    words = shlex.split(line, comments=True)
    if words[:1] != ["featureconvex"]:
        check_command(words)
        return
    from featureconvex.cli import app

    result = CliRunner().invoke(app, words[1:], catch_exceptions=False)
    assert result.exit_code == 0, f"{line}\n{result.output}"


def check_command(words: list[str]) -> None:
    """Whether this repository has what the command asks for."""
    match words:
        case ["make", target]:
            assert f"\n{target}:" in (ROOT / "Makefile").read_text(), target
        case ["pip", "install", wanted]:
            project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
            extras = "|".join(project["optional-dependencies"])
            assert re.fullmatch(rf"\.(\[({extras})\])?|pre-commit", wanted), wanted
        case ["pre-commit", "install"]:
            assert (ROOT / ".pre-commit-config.yaml").exists()
        case _:
            raise AssertionError(f"a command that nobody runs: {shlex.join(words)}")


def script(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A script of ``benchmarks/pages/`` as a module; scripts beside it can be imported by it."""
    folder = ROOT / "benchmarks" / "pages"
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


def local_links(page: Path) -> list[Path]:
    """What the page links to in this repository."""
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    return [page.parent / target for target in targets if not target.startswith("http")]
