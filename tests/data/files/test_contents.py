"""Files are read whole or refused: caps, blocks, names that are no text, things that are no files."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import featureconvex as fc
from featureconvex import cli
from featureconvex.data import find_task
from featureconvex.data.files import contents
from featureconvex.data.files.byte_counts import ByteCounts
from featureconvex.data.files.contents import FileTooLargeError, blocks, file_size, shown
from featureconvex.detector import Detector
from featureconvex.errors import UserError

ODD = os.fsdecode(b"no \xff text.bin")


def command(*arguments: object) -> int:
    with pytest.raises(SystemExit) as done:
        cli.main([str(argument) for argument in arguments])
    return int(done.value.code or 0)


@given(content=st.binary(min_size=1, max_size=60), ngram=st.integers(1, 4), size=st.integers(1, 9))
def test_blocks_are_counted_as_the_whole(
    content: bytes, ngram: int, size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("blocks") / "a.bin"
    path.write_bytes(content)
    form = ByteCounts(ngram, 256 if ngram == 1 else 16)
    found = form.of_file(path, size)
    np.testing.assert_array_equal(found, form(np.frombuffer(content, dtype=np.uint8)))


def test_what_is_no_file_to_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"12345")
    assert file_size(path, 5) == 5
    with pytest.raises(FileTooLargeError, match="more than the 4 bytes that --most-bytes allows"):
        file_size(path, 4)
    for name, reason in (("empty", "is empty"), ("gone", "No such file"), ("pipe", "no regular")):
        if name == "empty":
            (tmp_path / name).touch()
        elif name == "pipe":
            os.mkfifo(tmp_path / name)
        with pytest.raises(UserError, match=reason):
            ByteCounts().of_file(tmp_path / name)


def test_a_file_that_grows_meanwhile_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"12345")
    monkeypatch.setattr(contents, "file_size", lambda *_: 3)
    with pytest.raises(UserError, match="changed while it was read"):
        list(blocks(path))
    with pytest.raises(FileTooLargeError):
        list(blocks(path, 4))


def folder(path: Path) -> Path:
    rng = np.random.default_rng(0)
    for kind, top in (("bad", 256), ("good", 100)):
        (path / kind).mkdir(parents=True)
        for number in range(15):
            content = rng.integers(0, top, 300, dtype=np.uint16).astype(np.uint8)
            (path / kind / f"{number}.png").write_bytes(content.tobytes())
    return path


@pytest.mark.usefixtures("undrawn")
def test_a_cap_and_odd_names_from_training_to_certificates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files, out = folder(tmp_path / os.fsdecode(b"fil\xe9s")), tmp_path / "run"
    for kind in ("bad", "good"):
        (files / kind / "large.bin").write_bytes(bytes(range(250)) * 2)
        for number in range(10):
            (files / kind / f"{number}{ODD}").write_bytes(bytes(range(60 + number)))
    options = ("--sensitive", "bad", "--norm", 1, "--epochs", 2, "--temperature", 0.2)
    capped = ("--bytes", "histogram", "--most-bytes", 400)
    assert command("run", files, "--out", out, *options, *capped, "--recipe", "fixed") == 0
    assert "2 of 52 files have more than 400 bytes and were left out" in capsys.readouterr().err
    rows = pd.read_parquet(out / "rows.parquet")
    assert rows["row"].str.contains(r"no \\xff text.bin").any()
    assert command("report", out) == 0

    suspects = tmp_path / "new"
    suspects.mkdir()
    (suspects / ODD).write_bytes(bytes(range(256)))
    (suspects / "a large one").write_bytes(bytes(401))
    (suspects / "just so").write_bytes(bytes(range(200)) * 2)
    os.mkfifo(suspects / "pipe")
    table = tmp_path / "rows.csv"
    slack = tmp_path / "slack.csv"
    slack.write_text(f"file,offset,length\n{shown(ODD)},10,3\n{shown(ODD)},0x20,2\njust so,399,2\n")
    asked = ("--slack", slack, "--threat", "append", "--threat", "change", "--threat", "insert:150")
    assert command("certify", out, suspects, "--out", table, *asked) == 0
    found = pd.read_csv(table).set_index("row")
    assert found.loc["a large one", "status_append"] == "too_large"
    assert "pipe" not in found.index
    assert found["margin"].isna().sum() == 1
    odd = found.loc[shown(ODD)]
    assert odd["radius_slack"] in (0, 5)
    assert found.loc["just so", "status_slack"] == "unreadable"
    assert "beyond the end of a file of 400 bytes" in capsys.readouterr().err
    assert odd["radius_append"] <= 400 - 256
    assert odd["radius_insert-150"] == 0
    assert found.loc["just so", "radius_append"] == 0
    assert command("certify", out, suspects / "a large one", "--out", table) == 0
    assert pd.read_csv(table)["status_l2"].tolist() == ["too_large"]
    assert command("certify", out, suspects, "--out", table, "--slack", tmp_path / "no.csv") == 2
    assert command("certify", out, suspects, "--out", table, "--threat", "slack") == 2
    model = fc.load(out)
    assert isinstance(model, Detector)
    assert model.meaning.counts == ByteCounts(most=400)


def test_a_cap_says_what_it_needs(tmp_path: Path) -> None:
    files = folder(tmp_path / "files")
    with pytest.raises(UserError, match="--bytes histogram"):
        find_task(str(files), sensitive="bad", most_bytes=300)
    with pytest.raises(UserError, match="every file is larger"):
        find_task(str(files), sensitive="bad", counts="histogram", most_bytes=100).load()
    kept = find_task(str(files), sensitive="bad", counts="ngrams:2:64", most_bytes=300).load()
    assert kept.train.x.shape == (24, 64)


@pytest.mark.usefixtures("undrawn")
def test_logarithms_of_counts_are_trained_and_certified(tmp_path: Path) -> None:
    files, out, table = folder(tmp_path / "files"), tmp_path / "run", tmp_path / "rows.csv"
    options = ("--sensitive", "bad", "--norm", 1, "--epochs", 2, "--temperature", 0.5)
    counted = ("--bytes", "ngrams:2:64", "--counts", "log1p")
    assert command("run", files, "--out", out, *options, *counted) == 0
    detector = fc.load(out)
    assert isinstance(detector, Detector)
    assert "Log1p" in repr(detector.feature_map)
    asked = ("--threat", "append", "--threat", "change", "--level", "sound")
    assert command("certify", out, files / "bad", "--out", table, *asked) == 0
    found = pd.read_csv(table).set_index("row")
    assert (found["radius_append"] > 0).any()
    # Really done to each file, as much as certified.
    rng, tried = np.random.default_rng(0), []
    for name, radius in found["radius_append"].items():
        content = np.fromfile(files / "bad" / str(name), dtype=np.uint8)
        for turn in range(20 if radius else 0):
            tail = np.full(int(min(radius, 5000)), rng.integers(0, 256), dtype=np.uint8)
            if turn % 2:
                tail = rng.integers(0, 256, len(tail)).astype(np.uint8)
            tried.append(ByteCounts(2, 64)(np.concatenate((content, tail))))
    assert (detector.sensitive_margin(np.array(tried)) > 0).all()
    again = (*options, "--bytes", "ngrams:2:64")
    assert command("run", files, "--out", out, *again) == 2
    frame = tmp_path / "t.csv"
    pd.DataFrame({"a": range(20), "y": [0, 1] * 10}).to_csv(frame, index=False)
    wrong = ("--label", "y", "--out", tmp_path / "x", "--counts", "log1p")
    assert command("run", frame, *wrong) == 2
