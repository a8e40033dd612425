"""What commands say: sentences, places, JSON, stages where output is redirected."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import featureconvex as fc
from featureconvex import cli
from featureconvex.progress import hushed, progress_bar, remark
from featureconvex.theory.gallery import figures
from featureconvex.theory.gallery import run as gallery

SHORT = ("--epochs", 1)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    spam = rng.random(80) < 0.5
    frame = pd.DataFrame(rng.normal(size=(80, 3)) + 2 * spam[:, None], columns=["a", "b", "c"])
    clf = fc.FeatureConvexClassifier(hidden=(4,), epochs=2, temperature=0.3, random_state=0)
    clf.fit(frame, spam).save(tmp_path / "model")
    frame.assign(kind=np.where(spam, "spam", "ham")).to_csv(tmp_path / "mails.csv", index=False)
    return tmp_path / "mails.csv"


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[str, str]:
    with pytest.raises(SystemExit, match="0"):
        cli.main([str(part) for part in arguments])
    return tuple(capsys.readouterr())  # type: ignore[return-value]


def commands(table: Path, name: str, out: Path) -> tuple[tuple[object, ...], list[str]]:
    """The arguments of a command that writes to ``out``, and the places that it names in the end."""
    own = ("--label", "kind", "--sensitive", "spam")
    return {
        "compare": (
            ("compare", table, *own, *SHORT, "--methods", "linear", "--out", out),
            [f"report: {out / 'report.html'}"],
        ),
        "tradeoff": (
            ("tradeoff", table, *own, *SHORT, "--temperatures", 0.3, "--out", out),
            [f"figure: {out / 'tradeoff.png'}"],
        ),
        "separability": (
            ("separability", table, *own, "--out", out),
            [f"result: {out / 'separability.json'}"],
        ),
        "certify": (
            ("certify", table.parent / "model", table, "--out", out / "rows.csv"),
            [f"rows: {out / 'rows.csv'} (80)"],
        ),
        "inspect": (
            ("inspect", table, *own, "--out", out / "s.toml"),
            [f"schema: {out / 's.toml'}"],
        ),
        "study": (
            ("study", "theorem", "--quick", "--out", out),
            [f"result: {out / 'theorem.json'}", f"figure: {out / 'theorem.png'}"],
        ),
    }[name]


KEYS = {
    "compare": "methods",
    "tradeoff": "points",
    "separability": "separable",
    "certify": "statuses",
    "inspect": "columns",
    "study": "points",
}


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", KEYS)
def test_every_command_can_be_quiet_and_speak_json(
    name: str,
    table: Path,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    arguments, places = commands(table, name, tmp_path / "a")
    out, err = said(capsys, *arguments)
    assert out.splitlines()[-1] in places
    assert len(out.splitlines()) > (0 if name in ("compare", "tradeoff") else 1)
    stages = err.splitlines()
    assert bool(stages) == (name != "inspect")
    assert stages.count("training") == (name == "tradeoff")
    out, err = said(capsys, *arguments, "--quiet")
    assert out.splitlines() == places
    assert err == ""
    out, err = said(capsys, *arguments, "--json", "--quiet")
    assert err == ""
    values: dict[str, Any] = json.loads(out)
    assert KEYS[name] in values


def test_a_report_too(table: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    arguments, places = commands(table, "compare", tmp_path)
    said(capsys, *arguments, "--quiet")
    assert said(capsys, "report", tmp_path, "--quiet")[0].splitlines() == places
    assert "methods" in json.loads(said(capsys, "report", tmp_path, "--json")[0])


def test_pictures(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery, "PICTURES", {"tangent.png": figures.tangent})
    out, err = said(capsys, "gallery", "--out", tmp_path, "--json", "--quiet")
    assert json.loads(out) == {"pictures": [str(tmp_path / "tangent.png")]}
    assert err == ""


def test_tasks_and_folders(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    found = json.loads(said(capsys, "tasks", "--json")[0])
    assert {"name", "found", "where", "how"} <= set(found[0])
    for name in ("good", "bad"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.bin").write_bytes(b"12")
    classes = json.loads(said(capsys, "inspect", tmp_path, "--json")[0])["classes"]
    assert classes[0] == {"name": "bad", "files": 1, "bytes": 2, "kinds": {".bin": 1}}
    with pytest.raises(SystemExit, match="2"):
        cli.main(["inspect", str(tmp_path), "--quiet"])


def test_rows_on_standard_output_stay_rows(table: Path) -> None:
    command = [sys.executable, "-c", "from featureconvex.cli import main; main()", "certify"]
    arguments = [*command, str(table.parent / "model"), str(table), "--out", "-", "--json"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0].startswith("row,index,predicted")
    assert len(done.stdout.splitlines()) == 81
    stage, _, rest = done.stderr.partition("\n")
    assert stage == "certify (closed-form)"
    assert json.loads(rest)["rows"] == 80


def test_a_stage_is_one_line_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("fit", 3) as tick:
        assert capsys.readouterr().err == "fit\n"
        tick(3, "words")
    assert capsys.readouterr().err == ""
    with hushed():
        with progress_bar("fit", 3) as tick:
            tick(3, "words")
        remark("something")
        with hushed(False):
            remark("still")
    assert capsys.readouterr().err == ""
    remark("something")
    assert capsys.readouterr().err == "something\n"
