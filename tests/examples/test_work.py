"""The worked examples run, and answer their question."""

from pathlib import Path

import pandas as pd
import pytest
from examples.work import binaries

from featureconvex import cli


def test_binaries(tmp_path: Path) -> None:
    numbers = binaries.main(tmp_path, most=120, epochs=20)
    assert numbers["accuracy"] > 0.85
    assert numbers["median_certified_bytes"]["append"] >= 1
    assert numbers["appended_files"] > 100
    assert numbers["of_these_passed"] == 0
    assert len(pd.read_csv(tmp_path / "binaries.csv")) == 30
    assert (tmp_path / "binaries.png").stat().st_size > 5000


def test_a_folder_of_files_from_the_command_line(tmp_path: Path) -> None:
    for kind, suffix in (("so", ".so"), ("pyc", ".pyc")):
        (tmp_path / "files" / kind).mkdir(parents=True)
        for number, path in enumerate(binaries.found(suffix, 60)):
            # Odd names, one of them a picture's.
            name = f"{number} \u00e9.png" if number == 3 else f"{number}{suffix}"
            (tmp_path / "files" / kind / name).write_bytes(path.read_bytes())
    out = tmp_path / "run"
    run = ["run", str(tmp_path / "files"), "--sensitive", "so", "--bytes", "ngrams:2:256"]
    run += ["--norm", "1", "--out", str(out), "--epochs", "5", "--temperature", "1"]
    with pytest.raises(SystemExit, match="0"):
        cli.main(run)
    some = tmp_path / "some"
    some.mkdir()
    for path in sorted((tmp_path / "files" / "so").iterdir())[:8]:
        (some / path.name).write_bytes(path.read_bytes())
    (some / "empty.so").write_bytes(b"")
    threats = ("append", "insert", "change", "append:1")
    options = [part for threat in threats for part in ("--threat", threat)]
    with pytest.raises(SystemExit, match="0"):
        cli.main(["certify", str(out), str(some), "--out", str(tmp_path / "r.csv"), *options])
    rows = pd.read_csv(tmp_path / "r.csv").set_index("file")
    assert rows.loc["empty.so", "status_append"] == "unreadable"
    assert "3 \u00e9.png" in rows.index or len(rows) == 9
    assert (rows["radius_append"] >= rows["radius_insert"]).all()
    assert (rows["radius_insert"] >= rows["radius_change"]).all()
    one = rows["radius_append"] >= 1
    assert (rows["radius_append-1"] > 0).tolist() == one.tolist()
