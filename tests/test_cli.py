"""The command line as a process sees it."""

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.undrawn import undrawn_reports

import featureconvex as fc
from featureconvex import cli
from featureconvex.cli.certify import certify, level_of
from featureconvex.cli.options import RECIPE_NAMES
from featureconvex.data import described_tasks
from featureconvex.training.recipes import RECIPES

COMMANDS = ("tasks", "run", "report", "tradeoff", "certify", "separability", "study", "gallery")


def _featureconvex(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from featureconvex.cli import main; main()"]
    return subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches(command: str) -> None:
    done = _featureconvex(command, "--help")
    assert done.returncode == 0
    assert "--" in done.stdout


def test_help_loads_no_torch() -> None:
    script = "import sys, featureconvex.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "mnist-mini-9", "--out", "x"),
        ("run", "digits-3-8", "--recipe", "secret", "--out", "x"),
        ("tradeoff", "nix", "--temperatures", "1", "--out", "x"),
        ("compare", "nix", "--out", "x"),
        ("separability", "nix", "--out", "x"),
        ("study", "nix", "--out", "x"),
    ],
    ids=" ".join,
)
def test_a_wrong_name_is_refused_before_torch_is_loaded(arguments: tuple[str, ...]) -> None:
    assert _refused_before_torch(*arguments).returncode == 2


def _refused_before_torch(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command, whose exit status is larger by 100 if torch was loaded."""
    script = (
        "import sys\nfrom featureconvex import cli\n"
        "try:\n    cli.main(sys.argv[1:])\n"
        "except SystemExit as done:\n    sys.exit(done.code + 100 * ('torch' in sys.modules))"
    )
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_schema_of_another_table_is_refused_before_torch_is_loaded(tmp_path: Path) -> None:
    """What a table holds is found out from it."""
    table, schema = tmp_path / "t.csv", tmp_path / "s.toml"
    table.write_text("a,b,y\n" + "1,2,0\n3,4,1\n" * 10)
    schema.write_text('label = "y"\n[columns.a]\ntype = "number"\n')
    done = _refused_before_torch("run", table, "--schema", schema, "--out", tmp_path / "run")
    assert done.returncode == 2
    assert "which the schema does not name" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("nix", "t.csv", "--out", "r.csv"), "no model in nix"),
        (("model", "nix.csv", "--out", "r.csv"), "no file or folder nix.csv"),
        (("model", "t.csv", "--out", "r.txt"), "--out takes"),
        (("model", "t.csv", "--out", "r.csv", "--keep", "id"), "no column 'id' to keep"),
        (("model", "u.csv", "--out", "r.csv"), "lacks 1 of the 1 columns"),
        (("model", "t.csv", "--out", "r.csv", "--range", "a"), "--range takes"),
    ],
)
def test_certify_refuses_what_it_can_before_torch_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], word: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    (tmp_path / "u.csv").write_text("b\n2\n")
    columns = [{"name": "a", "kind": "number", "categories": []}]
    inputs = {"kind": "table", "columns": columns, "files": None, "pixels": None}
    (tmp_path / "model").mkdir()
    described = json.dumps({"extra": {"inputs": inputs, "feature_names": ["a"]}})
    (tmp_path / "model" / "model.json").write_text(described)
    done = _refused_before_torch("certify", *arguments)
    assert done.returncode == 2
    assert word in done.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((None, "tight", None), "--base is an option of level sound; add --level sound, or leave"),
        (("tight", "domain", None), "add --level sound in place of tight"),
        ((None, None, 5), "add --level tight, or --level sound --base tight, or leave"),
        (("domain", None, 5), "--level sound --base tight in place of domain"),
        (("sound", None, 5), "--iterations is an option of level tight"),
    ],
)
def test_an_option_of_a_level_names_that_level(
    options: tuple[str | None, str | None, int | None], words: str
) -> None:
    for held in (False, True):
        with pytest.raises(fc.UserError, match=words):
            level_of(*options, held)
    assert level_of("sound", "tight", 5, True) == fc.levels.Sound(fc.levels.Tight(iterations=5))
    assert level_of(None, None, None, True) is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("t.csv", "--multi-class", "both"),
            "unknown multi-class 'both'; use one of auto, set, own",
        ),
        (
            ("t.csv", "--multi-class", "own", "--sensitive", "a"),
            "--sensitive a does not go with --multi-class own: each class is protected",
        ),
        (("digits", "--target-fpr", "0.1"), "--target-fpr 0.1 does not go with --multi-class own"),
        (("digits", "--other-temperature", "1"), "no class is the other one"),
        (("digits", "--recipe", "paper"), "have the recipe default only"),
        (("digits", "--counts", "log1p"), "logarithms of counts"),
        (("digits-3-8", "--multi-class", "own"), "has one sensitive class, '3'"),
        (("digits", "--multi-class", "set"), "written digits-A-B"),
        (
            ("t.csv", "--label", "y"),
            "or several as 'A|B' (or `run` or `compare` with --multi-class own",
        ),
        (("t.csv", "--multi-class", "own"), "name the label column with --label"),
    ],
    ids=" ".join,
)
def test_what_does_not_go_with_own_classes_is_refused_before_anything_is_read(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("x,y\n" + "1,a\n2,b\n3,c\n" * 5)
    with pytest.raises(SystemExit, match="2"):
        cli.main(["run", *arguments, "--out", "run"])
    assert words in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_own_classes_on_the_command_line_from_table_to_new_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [f"{i % 7},{3 * (i % 3) + i % 2},{'abc'[i % 3]}" for i in range(90)]
    (tmp_path / "t.csv").write_text("x,z,y\n" + "\n".join(rows) + "\n")
    asked = ["t.csv", "--label", "y", "--multi-class", "own", "--epochs", "3", "--out", "run"]
    with undrawn_reports():
        for command in (["run", *asked, "--json"], ["report", "run", "--json"]):
            with pytest.raises(SystemExit, match="0"):
                cli.main(command)
            metrics = json.loads(capsys.readouterr().out)
            assert metrics["multi_class"] == "own"
            assert metrics["classes"] == ["a", "b", "c"]
    with pytest.raises(SystemExit, match="0"):
        cli.main(["certify", "run", "t.csv", "--out", "-", "--norm", "inf", "--cost", "std"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 91
    assert "rival_linf,radius_linf_not_a,radius_linf_not_b,radius_linf_not_c" in lines[0]


def test_recipes_are_those_of_the_library() -> None:
    assert tuple(RECIPES) == RECIPE_NAMES


def test_tasks_piped_keep_short_lines(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main(["tasks", "--data-dir", str(tmp_path)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "mnist-mini-3-8 (mnist-mini-A-B)"
    # A path or an address has no blank to be folded at.
    assert all(len(line) <= 96 or " " not in line.strip() for line in lines)
    assert sum(line.startswith("  sensitive ") for line in lines) == len(described_tasks())


def test_tasks_lists_and_says_how_to_get(tmp_path: Path) -> None:
    done = _featureconvex("tasks", "--data-dir", tmp_path)
    assert done.returncode == 0
    for name in ("mnist-mini-3-8", "breast-cancer", "malimg", "cifar10-cats-dogs"):
        assert name in done.stdout


def test_the_version_is_said() -> None:
    done = _featureconvex("--version")
    assert (done.returncode, done.stdout) == (0, f"featureconvex {fc.__version__}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "mnist-mini-3-9x", "--out", "OUT"),
        ("run", "digits-3-8", "--out", "OUT", "--norm", "seven"),
        ("run", "digits-3-8", "--out", "OUT", "--norm", "0.5"),
        ("run", "digits-3-8", "--out", "OUT", "--recipe", "secret"),
        ("run", "digits-3-8", "--out", "OUT", "--temperature", "nan"),
        ("run", "digits-3-8"),
        ("report", "OUT"),
        ("certify", "OUT", "missing.csv", "--out", "rows.csv"),
        ("tradeoff", "digits-3-8", "--out", "OUT", "--temperatures", "a,b"),
        ("tradeoff", "missing.csv", "--out", "OUT", "--temperatures", "1", "--sep", ";;"),
        ("nonsense",),
    ],
)
def test_a_users_error_is_one_line_and_status_2(
    arguments: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as done:
        cli.main([str(tmp_path / "out") if a == "OUT" else a for a in arguments])
    shown = capsys.readouterr().err
    assert done.value.code == 2, shown
    if shown.startswith("featureconvex:"):
        assert shown.count("\n") == 1


def test_a_process_ends_with_that_line_and_status(tmp_path: Path) -> None:
    done = _featureconvex("report", tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("featureconvex:")
    assert done.stderr.count("\n") == 1


@pytest.mark.usefixtures("undrawn")  # but for the process
def test_run_report_certify(tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = ("run", "breast-cancer", "--out", out, "--epochs", 2, "--temperature", 0.3)
    done = _featureconvex(*arguments)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("Of 42 sensitive test samples (malignant), ")
    assert lines[-2:] == [f"report: {out / 'report.html'}", f"model: {out / 'model'}"]
    (out / "report.html").unlink()
    with pytest.raises(SystemExit, match="0"):
        cli.main(["report", str(out)])
    assert (out / "report.html").exists()
    from featureconvex.data import find_task

    table = tmp_path / "cells.csv"
    import pandas as pd

    cells = find_task("breast-cancer").load()
    pd.DataFrame(cells.test.x, columns=cells.feature_names).to_csv(table, index=False)
    rows = tmp_path / "rows.parquet"
    certify = ("certify", out, table, "--out", rows, "--norm", 1, "--norm", "inf", "--box", 0, 1e5)
    with pytest.raises(SystemExit, match="0"):
        cli.main([str(part) for part in certify])
    assert {"radius_l1", "radius_linf"} <= set(pd.read_parquet(rows).columns)


def test_the_options_of_levels_are_those_of_the_library() -> None:
    defaults = {name: p.default for name, p in inspect.signature(certify).parameters.items()}
    for name in fc.levels.LEVELS:
        given = {option: defaults[option] for option in ("base", "iterations")}
        assert fc.levels.parse_level(name, **given) == fc.levels.level_named(name)


def test_what_holds_the_attacker_is_never_ignored(tmp_path: Path) -> None:
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(40, 3)), columns=["age", "debt", "7"])
    clf = fc.FeatureConvexClassifier(hidden=(2,), epochs=1, temperature=0.3, random_state=0)
    clf.fit(frame, frame["age"] > 0).save(tmp_path / "model")
    frame.to_csv(tmp_path / "x.csv", index=False)
    plain = ["certify", tmp_path / "model", tmp_path / "x.csv", "--out", tmp_path / "rows.csv"]

    def certify(*options: object) -> pd.DataFrame:
        cli.main([str(part) for part in (*plain, *options)])
        return pd.read_csv(tmp_path / "rows.csv")

    def expected(box: fc.Box) -> "np.ndarray":
        return np.asarray(clf.certify(frame, fc.Lp(2), box, "domain").radius)

    held: list[tuple[tuple[object, ...], fc.Box]] = [
        (("--box", -9, 9), fc.Box(-9, 9)),
        (("--immutable", "debt,7"), fc.Box(-np.inf, np.inf, [1, 2])),
        (
            ("--increase-only", "age", "--decrease-only", "1"),
            fc.Box(-np.inf, np.inf, None, {0: 1, 1: -1}),
        ),
    ]
    for options, box in held:
        with pytest.raises(SystemExit, match="0"):
            certify(*options)
        np.testing.assert_allclose(pd.read_csv(tmp_path / "rows.csv")["radius_l2"], expected(box))
        with pytest.raises(SystemExit, match="2"):
            certify(*options, "--level", "closed-form")
    for spelling in ("--base", "--rests-on"):
        with pytest.raises(SystemExit, match="0"):
            certify("--level", "sound", spelling, "tight", "--iterations", 3)
        level = fc.levels.Sound(fc.levels.Tight(iterations=3))
        expected_radius = clf.certify(frame, fc.Lp(2), level=level).radius
        np.testing.assert_allclose(pd.read_csv(tmp_path / "rows.csv")["radius_l2"], expected_radius)
    wrong: list[tuple[object, ...]] = [
        ("--immutable", "wage"),
        ("--increase-only", "age", "--decrease-only", "age"),
        ("--iterations", 5),
        ("--base", "domain"),
        ("--level", "sound", "--base", "domain", "--iterations", 5),
    ]
    for options in wrong:
        with pytest.raises(SystemExit, match="2"):
            certify(*options)
