"""What is stored beside every result: enough to compute the same bits again."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from featureconvex.comparison.report.origins import origins
from featureconvex.provenance import LIMITS, git_revision, instruction_set, provenance


def test_processor_instructions_and_threads_are_named() -> None:
    found = provenance()
    assert found["instruction_set"].startswith(torch.backends.cpu.get_cpu_capability())
    assert found["threads"] == torch.get_num_threads()


def test_kernels_held_below_the_processor_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in LIMITS:
        monkeypatch.delenv(name, raising=False)
    own = torch.backends.cpu.get_cpu_capability()
    assert instruction_set() == own
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert instruction_set() == f"{own} (ONEDNN_MAX_CPU_ISA=AVX2)"


def test_changes_of_code_are_named_and_those_of_results_are_not(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        who = ("-c", "user.name=n", "-c", "user.email=e")
        subprocess.run(["git", "-C", str(tmp_path), *who, *words], check=True, capture_output=True)

    code, result = tmp_path / "src" / "code.py", tmp_path / "results" / "one.json"
    for path in (code, result, tmp_path / "README.md"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("1")
    git("init")
    git("add", ".")
    git("commit", "-m", "all")
    revision = git_revision(code)
    assert revision is not None
    assert len(revision) == 12
    result.write_text("2")
    (tmp_path / "README.md").write_text("2")
    assert git_revision(code) == revision
    code.write_text("2")
    assert git_revision(code) == f"{revision}-dirty"


def test_a_comparison_names_them_where_they_were_recorded() -> None:
    made = {"machine": "AMD", "instruction_set": "AVX2", "threads": 2, "git": "", "command": "go"}
    setting = {"setting": {}, "provenance": made}
    method = {"title": "ours", "settings": [setting], "best_setting": {"l1": {}}}
    tables: Any = {"reference": {"method": "ours"}, "methods": {"ours": method}}
    assert origins(tables) == ["AMD, AVX2, 2 threads"]
    made.pop("instruction_set")
    assert origins(tables) == ["AMD, 2 threads"]


def test_settings_of_several_commands_name_each_the_reference_s_first() -> None:
    def method(title: str, *revisions: str) -> dict[str, Any]:
        made = [{"machine": "AMD", "threads": 1, "git": r, "command": "go"} for r in revisions]
        settings = [{"setting": {}, "provenance": one} for one in made]
        return {"title": title, "settings": settings, "best_setting": {"l1": {}}}

    methods = {"linear": method("linear", "b2"), "ours": method("ours", "a1", "a1")}
    tables: Any = {"reference": {"method": "ours"}, "methods": methods}
    assert origins(tables) == [
        'AMD, 1 thread, revision a1, "go" (ours)',
        'AMD, 1 thread, revision b2, "go" (linear)',
    ]
