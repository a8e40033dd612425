"""The worked examples run, and answer their question."""

import itertools
import os
from pathlib import Path

import pandas as pd
import pytest
from examples.work import binaries, income, measurements, phishing, spam
from tests.undrawn import undrawn_reports

from featureconvex import cli


def test_binaries(tmp_path: Path) -> None:
    numbers = binaries.main(tmp_path, most=120, epochs=20)
    # On 30 files, and on whatever is installed.
    assert numbers["accuracy"] > 0.7
    assert numbers["median_certified_bytes"]["append"] >= 1
    assert numbers["appended_files"] > 100
    assert numbers["of_these_passed"] == 0
    assert len(pd.read_csv(tmp_path / "binaries.csv")) == 30
    assert (tmp_path / "binaries.png").stat().st_size > 5000


def test_measurements(tmp_path: Path) -> None:
    numbers = measurements.main(tmp_path, epochs=15)
    assert numbers["accuracy"] > 0.8
    every = numbers["median_standard_errors_of_all_at_once"]
    # One alone may err by more than each of all at once.
    assert all(
        alone > every > 0 for alone in numbers["median_standard_errors_of_one_alone"].values()
    )
    assert (tmp_path / "measurements.png").stat().st_size > 5000


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["phishing", "income"])
def test_tables_with_a_described_attacker(name: str, tmp_path: Path) -> None:
    main = {"phishing": phishing.main, "income": income.main}[name]
    data = Path(os.environ["FEATURECONVEX_DATA"]) / "tables" / f"{name}.csv"
    some = tmp_path / f"some-{name}.csv"
    with data.open("rb") as lines:
        some.write_bytes(b"".join(itertools.islice(lines, 3001)))
    with undrawn_reports():
        numbers = main(some, tmp_path, epochs=4)
    shares = list(numbers["certified_share"].values())
    assert numbers["accuracy"] > 0.7
    assert shares[0] > 0
    assert shares == sorted(shares, reverse=True)
    assert numbers["median_evasion"] >= numbers["median_certified"]
    fixed = {"phishing": "age_of_domain", "income": "SEX"}[name]
    assert all(fixed not in row["evasion"] for row in numbers["most_at_risk"])
    assert (tmp_path / f"{name}.png").stat().st_size > 5000


@pytest.mark.realdata
def test_spam(tmp_path: Path) -> None:
    numbers = spam.main(tmp_path, epochs=4)
    assert numbers["accuracy"] > 0.85
    assert 0 < numbers["median_percent_added_or_removed"] <= numbers["median_percent_added"]
    assert (tmp_path / "spam.png").stat().st_size > 5000


@pytest.mark.usefixtures("undrawn")
def test_a_folder_of_files_from_the_command_line(tmp_path: Path) -> None:
    for kind, suffix in (("so", ".so"), ("pyc", ".pyc")):
        (tmp_path / "files" / kind).mkdir(parents=True)
        for number, path in enumerate(binaries.found(suffix, 30)):
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
