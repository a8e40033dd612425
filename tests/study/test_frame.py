"""Studies are cells: each is kept when it is done, a killed study goes on, another one is refused."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from matplotlib.figure import Figure

from featureconvex import cli
from featureconvex.errors import UserError
from featureconvex.report.plot_style import panels
from featureconvex.study.registry import STUDIES, find_study
from featureconvex.study.run import run_study
from featureconvex.study.study import Row, Settings, Study


class Squares:
    """A study whose cells are numbers and whose work is their square; it counts, and can be killed."""

    def __init__(self) -> None:
        self.done: list[int] = []
        self.killed_at: int | None = None
        self.numbers = [1, 2, 3]
        self.version = 1

    def study(self) -> Study:
        def cells(quick: bool, seed: int) -> list[Settings]:
            return [{"n": n, "seed": seed} for n in self.numbers[: 2 if quick else None]]

        def work(settings: Settings, _: Path | None) -> Row:
            if settings["n"] == self.killed_at:
                raise KeyboardInterrupt
            self.done.append(settings["n"])
            return {"square": settings["n"] ** 2, "nothing": float("nan")}

        def summary(rows: Sequence[Row]) -> dict[str, Any]:
            return {"squares": [row["square"] for row in rows]}

        def figure(_: dict[str, Any]) -> Figure:
            return panels(1, 1, 1, 1)[0]

        def further(result: dict[str, Any]) -> dict[str, bytes]:
            return {"most.txt": str(max(result["squares"])).encode()}

        return Study("squares", cells, work, summary, figure, further, self.version)


@pytest.fixture
def squares(monkeypatch: pytest.MonkeyPatch) -> Squares:
    found = Squares()

    class Module(ModuleType):
        def __getattr__(self, name: str) -> Study:
            return found.study()

    monkeypatch.setitem(STUDIES, "squares", "squares of numbers")
    monkeypatch.setitem(__import__("sys").modules, "featureconvex.study.squares", Module("squares"))
    return found


@pytest.mark.usefixtures("squares")
def test_a_study_writes_its_answer_and_where_it_comes_from(tmp_path: Path) -> None:
    run_study("squares", tmp_path, progress=False)
    found = json.loads((tmp_path / "squares.json").read_text())
    assert found["squares"] == [1, 4, 9]
    assert (found["seed"], found["quick"]) == (0, False)
    assert found["provenance"]["command"]
    assert found["processor_seconds"] >= 0
    assert len(found["revisions"]) == 1
    assert (tmp_path / "squares.png").stat().st_size > 100
    assert (tmp_path / "most.txt").read_text() == "9"


def test_a_killed_study_goes_on_where_it_was(squares: Squares, tmp_path: Path) -> None:
    squares.killed_at = 3
    with pytest.raises(KeyboardInterrupt):
        run_study("squares", tmp_path, progress=False)
    assert not (tmp_path / "squares.json").exists()
    assert squares.done == [1, 2]
    squares.killed_at = None
    found = run_study("squares", tmp_path, progress=False)
    assert squares.done == [1, 2, 3]
    assert found["squares"] == [1, 4, 9]
    run_study("squares", tmp_path, progress=False)
    assert squares.done == [1, 2, 3]


def test_another_choice_seed_grid_or_version_is_refused(squares: Squares, tmp_path: Path) -> None:
    run_study("squares", tmp_path, progress=False)
    for options, words in (
        ({"quick": True}, "no --quick there, --quick now"),
        ({"seed": 1}, "--seed 0 there, --seed 1 now"),
    ):
        with pytest.raises(UserError, match=words):
            run_study("squares", tmp_path, progress=False, **options)
    with pytest.raises(
        UserError, match="holds study squares, and a folder holds one study; choose"
    ):
        run_study("theorem", tmp_path, quick=True, progress=False)
    squares.numbers = [1, 2, 4]
    with pytest.raises(UserError, match="as another version of featureconvex does it"):
        run_study("squares", tmp_path, progress=False)
    squares.numbers, squares.version = [1, 2, 3], 2
    with pytest.raises(UserError, match="as another version of featureconvex does it"):
        run_study("squares", tmp_path, progress=False)
    (tmp_path / "study.json").write_text("[]")
    with pytest.raises(UserError, match=r"study\.json of something else"):
        run_study("squares", tmp_path, progress=False)


@pytest.mark.usefixtures("squares")
def test_a_cell_of_another_number_is_refused(tmp_path: Path) -> None:
    run_study("squares", tmp_path, progress=False)
    cells = tmp_path / "cells"
    (cells / "0001.json").write_bytes((cells / "0000.json").read_bytes())
    with pytest.raises(UserError, match=r"0001\.json"):
        run_study("squares", tmp_path, progress=False)


def test_several_processes_find_the_same(tmp_path: Path) -> None:
    one = run_study("theorem", tmp_path / "one", quick=True, progress=False)
    two = run_study("theorem", tmp_path / "two", quick=True, jobs=2, progress=False)
    assert one["points"] == two["points"]


def test_every_listed_study_is_there() -> None:
    for name in STUDIES:
        study = find_study(name)
        assert study.name == name
        assert study.cells(True, 0)


def test_help_names_every_study(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["study", "--help"])
    # The box around the help breaks lines where it likes.
    words = set(re.findall(r"[a-z-]+", capsys.readouterr().out))
    assert set(STUDIES) <= words


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["alchemy"], "there are: theorem"),
        (["theorme"], "did you mean theorem"),
        (["theorem", "--jobs", "0"], "--jobs at least 1"),
        (["theorem", "--seed", "-1"], "--seed is at least 0"),
    ],
)
def test_the_command_line_refuses_in_words(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as done:
        cli.main(["study", *arguments, "--out", str(tmp_path / "out")])
    assert done.value.code == 2
    assert words in capsys.readouterr().err
    # Not even an empty folder.
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("file", "command"),
    [("record.json", "run"), ("comparison.json", "compare"), ("separability.json", "separability")],
)
def test_results_of_another_command_stay_alone(
    file: str, command: str, squares: Squares, tmp_path: Path
) -> None:
    (tmp_path / file).write_text("{}")
    with pytest.raises(UserError, match=f"holds the results of `featureconvex {command}`"):
        run_study("squares", tmp_path, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == [file]
    assert not squares.done
