"""The record, the examples and the folder as a whole: every damaged file is named."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from featureconvex.errors import UserError
from featureconvex.results.examples import (
    Examples,
    choose_examples,
    most_and_least,
    read_examples,
    write_examples,
)
from featureconvex.results.folder import read_run
from featureconvex.results.record import norm_of, read_record, validate_record, write_record

MakeRows = Callable[..., pd.DataFrame]
MakeRecord = Callable[..., Any]


@pytest.fixture
def copy(image_folder: Path, tmp_path: Path) -> Path:
    for name in ("rows.parquet", "record.json", "examples.npz"):
        shutil.copy(image_folder / name, tmp_path / name)
    return tmp_path


def test_a_record_comes_back_as_it_was(tmp_path: Path, make_record: MakeRecord) -> None:
    record = make_record(extra={"kept": True})
    write_record(record, tmp_path / "record.json")
    assert read_record(tmp_path / "record.json") == record


@pytest.mark.parametrize(
    ("spelled", "name"), [("2", "l2"), ("l1", "l1"), ("inf", "linf"), (2.0, "l2")]
)
def test_reads_any_spelling_of_the_norm(spelled: Any, name: str, make_record: MakeRecord) -> None:
    assert norm_of(validate_record(make_record(norm=spelled))) == name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": "0"}, "field 'seed' must be int"),
        ({"seed": True}, "field 'seed' must be int"),
        ({"kind": "sound"}, "kind must be one of image, table"),
        ({"norm": "3"}, "norm must be one of l1, l2, linf"),
        ({"calibration": {"rule": "balanced"}}, "'calibration' lacks on"),
        ({"calibration": {"rule": "fpr", "on": "test"}}, "target_fpr"),
        ({"calibration": {"rule": "balanced", "on": "train"}}, "calibration.on must be one of"),
        ({"provenance": {}}, "'provenance' lacks version, git"),
        ({"history": [{"epoch": 1}]}, "an entry of 'history' lacks loss"),
        ({"tradeoff": [{"temperature": 1}]}, "an entry of 'tradeoff' lacks"),
        ({"image_shape": None}, "'image_shape' must not be empty"),
    ],
)
def test_names_the_fault_in_a_record(
    changes: dict[str, Any], message: str, make_record: MakeRecord
) -> None:
    with pytest.raises(UserError, match=message):
        validate_record(make_record(**changes))


def test_a_record_that_lacks_a_field_or_is_no_object(make_record: MakeRecord) -> None:
    record = make_record()
    del record["tau"]
    with pytest.raises(UserError, match="lacks the field 'tau'"):
        validate_record(record)
    with pytest.raises(UserError, match="must be a JSON object"):
        validate_record([])


@pytest.mark.parametrize("text", ["{", '{"seed": NaN}', "\xff"])
def test_a_damaged_record_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "record.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=r"record\.json cannot be read as JSON"):
        read_record(tmp_path / "record.json")


def test_examples_come_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    examples = Examples(np.array([4, 2]), rng.random((2, 3, 5, 5)), rng.normal(size=(2, 3, 5, 5)))
    write_examples(examples, tmp_path / "examples.npz")
    back = read_examples(tmp_path / "examples.npz")
    for name in ("index", "x", "gradient"):
        np.testing.assert_array_equal(getattr(back, name), getattr(examples, name))


@pytest.mark.parametrize(
    "shapes", [((2,), (3, 4), (3, 4)), ((2,), (2, 4), (2, 5)), ((2,), (2,), (2,))]
)
def test_examples_must_fit_together(shapes: tuple[tuple[int, ...], ...]) -> None:
    index, x, gradient = (np.zeros(shape) for shape in shapes)
    with pytest.raises(UserError, match=r"examples must be|gradient of its own shape"):
        Examples(index.astype(np.int64), x, gradient)


def test_chooses_the_ends_of_the_order(make_rows: MakeRows) -> None:
    rows = make_rows()
    chosen = choose_examples(rows, "radius_l2", each=3)
    right = rows[(rows["label"] == 1) & (rows["predicted"] == 1)].sort_values("radius_l2")
    assert chosen.tolist() == [*right["index"][-1:-4:-1], *right["index"][2::-1]]
    few = rows[(rows["label"] == 0) | (rows["index"] < 6)]
    assert 1 <= len(choose_examples(few, "radius_l2", each=8)) <= 3


def test_splits_examples_by_radius(copy: Path) -> None:
    run = read_run(copy)
    most, least = most_and_least(run.rows, run.examples, run.headline)
    assert len(most) == len(least) == 8
    radii = [s.radius for s in [*most, *least[::-1]]]
    assert radii == sorted(radii, reverse=True)
    assert min(s.radius for s in most) > max(s.radius for s in least)


def test_an_example_without_a_row_is_refused(copy: Path) -> None:
    run = read_run(copy)
    stray = Examples(run.examples.index + 10_000, run.examples.x, run.examples.gradient)
    with pytest.raises(UserError, match="which has no row"):
        most_and_least(run.rows, stray, run.headline)


def test_a_missing_folder_and_missing_files_are_named(copy: Path) -> None:
    with pytest.raises(UserError, match=r"there is no folder .*nowhere"):
        read_run(copy / "nowhere")
    for name in ("examples.npz", "record.json", "rows.parquet"):
        (copy / name).unlink()
        with pytest.raises(UserError, match=f"{name} is missing"):
            read_run(copy)


def test_truncated_examples_are_named(copy: Path) -> None:
    path = copy / "examples.npz"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UserError, match=r"examples\.npz cannot be read as examples"):
        read_run(copy)


def test_files_of_two_runs_are_told_apart(copy: Path) -> None:
    record = json.loads((copy / "record.json").read_text())
    write_record(record | {"image_shape": [3, 32, 32]}, copy / "record.json")
    with pytest.raises(UserError, match="the files are not from one run"):
        read_run(copy)
