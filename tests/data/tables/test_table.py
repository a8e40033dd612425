import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from featureconvex.data import Dataset, find_task
from featureconvex.data.suspicion import data_warnings
from featureconvex.data.tables.frame import read_frame
from featureconvex.errors import UserError


def load(
    path: Path, frame: pd.DataFrame | str, label: str | None = "y", sensitive: str | None = None
) -> Dataset:
    if isinstance(frame, str):
        path.write_text(frame)
    elif path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False)
    return find_task(str(path), label=label, sensitive=sensitive).load()


FRAME = pd.DataFrame({"a": np.arange(20) / 4, "b": np.arange(20), "y": ["spam", "ham"] * 10})


@pytest.mark.parametrize("name", ["mails.csv", "mails.csv.gz", "mails.parquet", "MAILS.CSV"])
def test_both_formats(tmp_path: Path, name: str) -> None:
    data = load(tmp_path / name, FRAME, sensitive="spam")
    assert data.name.lower() == "mails"
    assert data.kind == "table"
    assert data.feature_names == ["a", "b"]
    assert data.feature_groups is None
    assert data.train.x.shape == (16, 2)
    assert data.train.x.dtype == np.float64
    for split in (data.train, data.test):
        np.testing.assert_array_equal(split.x[:, 0] * 4, split.x[:, 1])
        np.testing.assert_array_equal(split.y, split.x[:, 1] % 2 == 0)
    assert (data.sensitive_name, data.other_name) == ("spam", "ham")
    assert data.test.y.sum() == 2


@pytest.mark.parametrize(
    ("labels", "sensitive"),
    [([0, 1], "1"), ([0.0, 1.0], "1"), ([False, True], "True"), (["0", " 1"], "1")],
)
def test_implied_sensitive_class(tmp_path: Path, labels: list[str], sensitive: str) -> None:
    data = load(tmp_path / "t.parquet", FRAME.assign(y=labels * 10))
    assert data.sensitive_name == sensitive
    np.testing.assert_array_equal(data.test.y, data.test.x[:, 1] % 2 == 1)


def test_one_against_the_rest(tmp_path: Path) -> None:
    frame = FRAME.assign(y=["a", "b", "c", "d"] * 5)
    data = load(tmp_path / "t.csv", frame, sensitive="b")
    assert data.other_name == "not b"
    assert data.test_family is not None
    assert sorted(data.test_family) == ["a", "b", "c", "d"]
    np.testing.assert_array_equal(data.test.y, data.test_family == "b")


def test_booleans_and_categories(tmp_path: Path) -> None:
    frame = FRAME.assign(flag=[True, False] * 10, colour=["red", "blue"] * 10, last=1)
    data = load(tmp_path / "t.csv", frame, sensitive="spam")
    assert data.feature_names == ["a", "b", "flag", "colour=blue", "colour=red", "last"]
    assert data.feature_groups == [0, 1, 2, 3, 3, 4]
    np.testing.assert_array_equal(data.train.x[:, 3], 1 - data.train.x[:, 4])
    np.testing.assert_array_equal(data.train.x[:, 4], data.train.y)
    np.testing.assert_array_equal(data.train.x[:, 2], data.train.y)
    assert data.note == "One-hot encoded: colour."


def test_a_category_of_many_levels_is_said_to_be_slow(tmp_path: Path) -> None:
    """Before anything long begins, with the remedy."""
    frame = pd.DataFrame({"shop": [f"s{k % 120}" for k in range(240)], "a": range(240)})
    frame["y"] = np.arange(240) % 2
    frame.to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "s.toml").write_text(
        'label = "y"\n[columns.shop]\ntype = "category"\n[columns.a]\ntype = "number"\n'
    )
    data = find_task(str(tmp_path / "t.csv"), schema=tmp_path / "s.toml").load()
    assert "'shop' has 120 levels, each of them a feature" in data.note
    assert 'rare = "other"' in data.note


def test_parquet_types(tmp_path: Path) -> None:
    frame = FRAME.assign(
        whole=pd.array(range(20), dtype="Int64"), kind=pd.Categorical(["u", "v"] * 10)
    )
    data = load(tmp_path / "t.parquet", frame, sensitive="spam")
    assert data.feature_names == ["a", "b", "whole", "kind=u", "kind=v"]


def text_column(*values: str) -> pd.DataFrame:
    return FRAME.assign(c=(list(values) * 20)[:20])


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (FRAME.assign(a=[np.nan] + [1.0] * 19), "column 'a': 1 missing .*row 0 "),
        (FRAME.assign(a=[1.0, np.inf] * 10), "column 'a': 10 missing or non-finite .*row 1 "),
        (
            FRAME.assign(y=pd.Series(["spam", None] * 10)),
            "without a label, 10 of them, the first row 1 ",
        ),
        (FRAME.assign(c=[f"id-{i}" for i in range(20)]), "column 'c': text with 20 distinct"),
        (text_column("1", "2", "?"), r"column 'c': '\?' in row 2 .from 0. is not a number"),
        (FRAME.assign(c=pd.Timestamp("2020-01-01")), "column 'c': values of type datetime"),
        (FRAME[["y"]], "no column besides the label"),
        (FRAME.assign(y="spam"), "has 1 class"),
        (FRAME.assign(y=["spam"] + ["ham"] * 19), "class 'spam' has 1 example"),
        (FRAME.iloc[:0], "no rows or no columns"),
    ],
)
def test_what_is_no_table_of_numbers(tmp_path: Path, frame: pd.DataFrame, reason: str) -> None:
    with pytest.raises(UserError, match=reason) as failure:
        load(tmp_path / "t.parquet", frame, sensitive="spam")
    assert "t.parquet" in str(failure.value) or "class 'spam'" in str(failure.value)


@pytest.mark.parametrize(
    ("label", "sensitive", "reason"),
    [
        (None, None, "name the label column with --label, one of: a, b, y"),
        ("z", None, "no column 'z'; --label must be one of: a, b, y"),
        ("y", None, "classes ham, spam; name the one .* --sensitive"),
        ("y", "eggs", "no class 'eggs'; --sensitive must be one of: ham, spam"),
    ],
)
def test_what_must_be_named(
    tmp_path: Path, label: str | None, sensitive: str | None, reason: str
) -> None:
    with pytest.raises(UserError, match=reason):
        load(tmp_path / "t.csv", FRAME, label, sensitive)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "cannot read .* as a table"),
        ("a,y\n1,0\n2,1,7\n", "cannot read .* as a table"),
        ("a,y\n1,0,5\n2,1,7\n", "cannot read .* as a table"),
        ("a,y\n1,0\n2,1\n3", "row 2 .from 0. has 1 of 2 cells"),
        ("a,y\n1,0\n2,\n", "without a label, 1 of them"),
        ("a,y\n1,u\n2,v\n3,u\0\n", "label of row 2 .from 0. has a NUL byte"),
        ('a,y\n"1,0\n', "cannot read .* as a table|no label|no rows"),
    ],
)
def test_ragged_or_empty_csv(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        load(tmp_path / "t.csv", text)


@pytest.mark.parametrize("name", ["t.parquet", "t.csv.gz", "t.csv"])
def test_bytes_of_another_kind(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\xff\xfe\x00\x01garbage")
    with pytest.raises(UserError, match=r"cannot read .* as a table") as failure:
        find_task(str(tmp_path / name), label="y").load()
    assert "\n" not in str(failure.value)


def test_a_truncated_gzip(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    FRAME.to_csv(path, index=False)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(UserError, match=r"cannot read .* as a table"):
        find_task(str(path), label="y").load()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a;b;y\n1,5;2;0\n3,5;4;1\n", "';'"),
        ("a\tb\ty\n1\t2\t0\n", "a tab"),
        ("a|y\n1|0\n", r"'\|'"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_other_separators_are_recognised(
    tmp_path: Path, text: str, name: str, packed: bool
) -> None:
    path = tmp_path / ("t.csv.gz" if packed else "t.csv")
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    with pytest.raises(UserError, match=rf"separator looks like {name}, not a comma; save"):
        find_task(str(path), label="y").load()


def test_columns_of_the_same_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b,a,y\n1,2,3,ham\n4,5,6,spam\n")
    with pytest.raises(UserError, match="two columns named 'a'"):
        read_frame(path)


def test_separators_inside_column_names_are_no_reason_to_refuse(tmp_path: Path) -> None:
    frame = FRAME.rename(columns={"a": "x;y;z", "b": "colour|red"})
    assert load(tmp_path / "t.csv", frame, sensitive="spam").feature_names == [
        "x;y;z",
        "colour|red",
    ]
    quoted = '"a;b",y\n' + "1.5,0\n2.5,1\n" * 5
    assert load(tmp_path / "q.csv", quoted).feature_names == ["a;b"]


def test_classes_that_are_one_are_named_with_their_counts(tmp_path: Path) -> None:
    """A misspelt label would be trained as the other class."""
    frame = pd.DataFrame({"a": range(40), "y": ["spam"] * 20 + ["Spam"] * 5 + ["ham"] * 15})
    data = load(tmp_path / "t.csv", frame, sensitive="spam")
    assert "spam against all other classes: Spam (5), ham (15)." in data.note


@pytest.mark.parametrize(
    ("pair", "others"),
    [
        (("spam", "Spam"), ["ham"]),
        (("01", "1"), []),
        (("e\u0301", "\u00e9"), ["x"]),
        (("a b", "ab"), []),
    ],
)
def test_classes_that_a_person_would_take_for_one_are_a_warning(
    tmp_path: Path, pair: tuple[str, str], others: list[str]
) -> None:
    names = [*pair, *others]
    frame = pd.DataFrame({"a": np.arange(60) % 7, "y": (names * 60)[:60]})
    for suffix in ("csv", "parquet"):
        data = load(tmp_path / f"t.{suffix}", frame, sensitive=pair[0])
        assert data.sensitive_name == pair[0]
        assert int((data.train.y == 1).sum() + (data.test.y == 1).sum()) == 60 // len(names)
        assert any("differ only in case" in sentence for sentence in data_warnings(data))


def test_a_named_index_of_parquet_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    ids = FRAME.set_index(pd.Index([f"m{i}" for i in range(20)], name="mail"))
    ids.to_parquet(path)
    data = find_task(str(path), "y", "spam").load()
    assert data.feature_names == ["a", "b"]
    assert "index 'mail' is no feature; --keep copies it" in data.note
    kept = find_task(str(path), "y", "spam", ("mail",)).load()
    assert kept.test_kept is not None
    assert kept.test_rows is not None
    assert kept.test_kept["mail"].tolist() == [f"m{row}" for row in kept.test_rows]
    assert "index" not in kept.note
    # The label, or a column that a model knows, may be the index.
    FRAME.set_index("y").to_parquet(path)
    assert find_task(str(path), "y", "spam").load().feature_names == ["a", "b"]
    FRAME.set_index(["a", "b"]).to_parquet(path)
    assert set(read_frame(path).columns) == {"a", "b", "y"}


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_another_encoding_names_the_remedy(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "t.csv"
    FRAME.rename(columns={"a": "Größe"}).to_csv(path, index=False, encoding=encoding)
    with pytest.raises(
        UserError, match="save it as UTF-8, or name its encoding: --encoding cp1252"
    ):
        find_task(str(path), "y", "spam").load()


def test_numbers_that_no_float32_holds_are_refused_by_name(tmp_path: Path) -> None:
    for value in (1e300, -1e39):
        with pytest.raises(
            UserError, match=r"column 'b': 1 of 20 numbers are beyond 3.4e\+38,.* row 2 "
        ):
            load(
                tmp_path / "t.csv",
                FRAME.assign(b=np.where(np.arange(20) == 2, value, 1.0)),
                "y",
                "ham",
            )
    load(tmp_path / "t.csv", FRAME.assign(b=1e38), "y", "ham")


def test_a_messy_table_is_refused_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "an export.csv"
    path.write_bytes("Händler;Betrag;Urteil\nA;1,5;ok\nB;2,5;Betrug\n".encode("cp1252") * 3)
    way = r"`featureconvex inspect '.*an export.csv' --label Urteil --sensitive Betrug --out"
    with pytest.raises(UserError, match=way):
        find_task(str(path), "Urteil", "Betrug").load()
    path.write_text("a,y\n" + "".join(f"{value},{k % 2}\n" for k, value in enumerate("12x456")))
    with pytest.raises(UserError, match=r"--schema schema\.toml` takes the table as it is"):
        find_task(str(path), "y").load()
