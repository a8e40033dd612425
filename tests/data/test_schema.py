"""Schemas: written and read back, refused with the remedy, guessed from a messy export."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featureconvex.cli import main
from featureconvex.data import find_task
from featureconvex.data.inspection import class_lines, inspect_folder, inspect_table, look_lines
from featureconvex.data.schema import (
    ColumnSchema,
    Schema,
    TableForm,
    parse_schema,
    read_schema,
    schema_text,
    sniffed,
)
from featureconvex.data.tables.columns import feature_names
from featureconvex.data.tables.encoding import encode
from featureconvex.data.tables.frame import read_frame
from featureconvex.data.tables.learning import columns_of_schema
from featureconvex.data.tables.look import look_at
from featureconvex.errors import UserError

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
named = words.filter(str.strip)
amounts = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def columns(draw: st.DrawFn, name: str) -> ColumnSchema:
    kind = draw(st.sampled_from(["number", "integer", "category", "boolean", "date"]))
    given: dict[str, Any] = {"role": draw(st.sampled_from(["feature", "id", "drop"])), "type": kind}
    if given["role"] != "feature":
        return ColumnSchema(name, **given)
    cost = st.one_of(st.just("std"), st.floats(1e-6, 1e6))
    if kind == "category":
        levels = draw(st.lists(words, unique=True, max_size=4))
        rare, missing = st.sampled_from(["refuse", "other"]), st.sampled_from(["refuse", "level"])
        given |= {"levels": tuple(levels), "rare": draw(rare), "missing": draw(missing)}
    elif kind != "boolean":
        low, high = sorted([draw(amounts), draw(amounts)])
        ways = st.sampled_from(["free", "fixed", "increase", "decrease"])
        given |= {
            "low": low,
            "high": high,
            "attacker": draw(ways),
            "unit": draw(st.just("") | named),
        }
        given["missing"] = draw(st.sampled_from(["refuse", "median"]))
    return ColumnSchema(name, cost=draw(cost), **given)


@given(st.data())
def test_what_is_written_is_read_back(data: st.DataObject) -> None:
    names = data.draw(st.lists(words, unique=True, max_size=3))
    said = tuple(data.draw(columns(name)) for name in names)
    label = data.draw(words.filter(lambda word: word not in names) | st.none())
    form = TableForm(";", ",", "cp1252", tuple(data.draw(st.lists(words, unique=True, max_size=2))))
    schema = Schema(said, label, data.draw(words | st.none()), data.draw(named), form)
    remarks = {name: data.draw(words) for name in names}
    assert parse_schema(schema_text(schema, data.draw(words), remarks)) == schema
    assert Schema.from_stored(schema.stored()) == schema


@given(st.text(max_size=60))
def test_any_text_is_a_schema_or_refused(text: str) -> None:
    try:
        parse_schema(text)
    except UserError:
        return


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "unknown key 'x'"),
        ("label = 3", "text in quotes"),
        ("columns = 3", "columns is a table"),
        ("[columns]\na = 3", "table of its own"),
        ('[columns.a]\nrole = "feat"', "role of column 'a'"),
        ('[columns.a]\ncost = "much"', 'cost of column .* or "std", got'),
        ('[columns.a]\ntype = "category"\ncost = "std"', "category has no standard deviation"),
        ('[columns.a]\ntype = "boolean"\ncost = "std"', "boolean has no standard deviation"),
        ('[columns.a]\nunit = ""', r'unit in \[columns."a"\] has no words'),
        ('unit = " "', "unit in the schema has no words"),
        ('[columns."Größe (kB)"]\nrange = 3', r'range in \[columns."Größe \(kB\)"\] is'),
        ("[columns.a]\nrole = 3", r'role in \[columns."a"\] is a text in quotes'),
        ("[columns.a]\ncost = -1", "must be"),
        ("[columns.a]\ncost = inf", "must be a finite number"),
        ("[columns.a]\nrange = [1]", "low, high"),
        ("[columns.a]\nrange = [2, 1]", "low <= high"),
        ('[columns.a]\ntype = "category"\nattacker = "increase"', "neither grow nor shrink"),
        ('[columns.a]\ntype = "category"\nmissing = "median"', '"median" for numbers'),
        ('[columns.a]\nlevels = ["x"]', "for categories"),
        ('label = "a"\n[columns.a]', "named twice"),
        ('[file]\nseparator = ",,"', "one ASCII character"),
        ('[file]\nseparator = ","\ndecimal = ","', "both"),
        ('[file]\nencoding = "klingon"', "unknown encoding"),
        ("a = ", "no TOML"),
    ],
)
def test_mistakes_are_named(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_schema(text)


def messy(path: Path, rows: int = 400) -> Path:
    """An export as people have them: semicolons, decimal commas, cp1252, an id, a date, gaps, a leak."""
    rng = np.random.default_rng(0)
    fraud = rng.random(rows) < 0.5
    amount = rng.normal(np.where(fraud, 120, 60), 25).round(2)
    frame = pd.DataFrame(
        {
            "Kundennr": [f"K-{i:05d}" for i in range(rows)],
            "Datum": pd.date_range("2023-01-01", periods=rows).strftime("%d.%m.%Y"),
            "Betrag": [f"{value:.2f}".replace(".", ",") for value in amount],
            "Anzahl": rng.poisson(np.where(fraud, 6, 2)),
            "Händler": rng.choice([f"Laden {i}" for i in range(40)], rows),
            "Land": rng.choice(["DE", "FR", "ÖS"], rows),
            "neu": np.where(rng.random(rows) < np.where(fraud, 0.7, 0.2), "true", "false"),
            "leer": 1,
            "Zeile": np.arange(rows),
            "Urteil": np.where(fraud, "schlecht", "gut"),
            "Art": np.where(fraud, "Betrug", "ok"),
        }
    )
    frame.loc[rng.random(rows) < 0.1, "Betrag"] = ""
    frame.loc[rng.random(rows) < 0.1, "Land"] = ""
    frame.to_csv(path, sep=";", index=False, encoding="cp1252")
    return path


def test_a_version_is_no_sign_of_decimal_points() -> None:
    """One cell that is the same everywhere says less than many different ones."""
    rows = "".join(f"{k},5;2.1;{'k.A.' if k % 9 else k}\n" for k in range(1, 60))
    assert sniffed(f"a;version;c\n{rows}".encode()).decimal == ","
    dotted = "".join(f"{k}.5;2,1\n" for k in range(1, 60))
    assert sniffed(f"a;version\n{dotted}".encode()).decimal == "."


def test_a_word_that_means_a_gap_is_named_with_the_option(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    rows = [f"{k / 4},{'x' if k % 2 else 'y'},{k}" for k in range(40)]
    rows[3], rows[7], rows[9] = "k. A.,x,?", "k. A.,y,-", "1.5,x,#"
    path.write_text("\n".join(["a,b,c", *rows]) + "\n")
    remarks = inspect_table(path)[0].remarks
    assert (
        "38 cells are numbers, the others 'k. A.': if that is a gap, add --na 'k. A.'"
        in remarks["a"]
    )
    assert "numbers" not in remarks["b"]
    assert "37 cells are numbers among words" in remarks["c"]
    look = inspect_table(path, missing=("k. A.", "?", "-", "#"))[0]
    types = {c.name: (c.role, c.type, c.missing) for c in look.schema.columns}
    assert types["a"] == ("feature", "number", "median")


def test_a_messy_export_is_understood(tmp_path: Path) -> None:
    path = messy(tmp_path / "messy.csv")
    look, text = inspect_table(path, "Art", "Betrug")
    said = {column.name: column for column in look.schema.columns}
    roles = {name: (column.role, column.type, column.missing) for name, column in said.items()}
    assert roles == {
        "Kundennr": ("id", "category", "refuse"),
        "Datum": ("drop", "date", "refuse"),
        "Betrag": ("feature", "number", "median"),
        "Anzahl": ("feature", "integer", "refuse"),
        "Händler": ("feature", "category", "refuse"),
        "Land": ("feature", "category", "level"),
        "neu": ("feature", "boolean", "refuse"),
        "leer": ("drop", "integer", "refuse"),
        "Zeile": ("id", "integer", "refuse"),
        "Urteil": ("drop", "category", "refuse"),
    }
    assert said["Händler"].rare == "other"
    assert "leak" in look.remarks["Urteil"]
    assert look.schema.form == TableForm(";", ",", "cp1252")
    assert parse_schema(text) == look.schema
    lines = look_lines(look)
    assert len(lines) == 11
    assert lines[0].startswith("label Art: Betrug")
    frame = read_frame(path, form=look.schema.form)
    assert frame["Betrag"].dropna().between(-100, 300).all()
    found = columns_of_schema(frame, look.schema.features, "it")
    encoded = encode(frame, found, "it").x
    assert np.isfinite(encoded).all()
    assert len(feature_names(found)) == encoded.shape[1] == 2 + 1 + 16 + 4 + 1
    gone = frame["Betrag"].isna().to_numpy()
    assert (encoded[:, 1] == gone).all()
    assert (encoded[gone, 0] == frame["Betrag"].median()).all()


def test_what_is_said_of_the_file_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("a;b\n1,5;x\n-;y\n".encode("utf-16"))
    look, _ = inspect_table(path, missing=("-",))
    assert look.schema.form.encoding == "utf-16"
    assert [column.missing for column in look.columns] == [1, 0]
    assert look.schema.columns[0].type == "number"
    wide, _ = inspect_table(path, separator="|")
    assert len(wide.columns) == 1
    with pytest.raises(UserError, match="no table"):
        inspect_table(tmp_path / "b.csv")
    with pytest.raises(UserError, match="no column 'c'"):
        inspect_table(path, "c")


def test_a_folder_is_counted(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="sub-folder"):
        inspect_folder(tmp_path)
    for name, count in (("good", 3), ("bad", 2)):
        (tmp_path / name).mkdir()
        for number in range(count):
            (tmp_path / name / f"{number}.bin").write_bytes(b"12")
    bad, good = class_lines(inspect_folder(tmp_path))
    assert (bad, good[:13]) == ("bad: 2 files, 4e-06 MB, .bin (2)", "good: 3 files")


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_a_separator_is_found(mark: str) -> None:
    text = f"name{mark}value\n" + "".join(f"a b{mark}{i}.5\n" for i in range(20))
    assert sniffed(b"\xef\xbb\xbf" + text.encode()).separator == mark


def test_dates_are_days_when_they_are_features() -> None:
    for cells in (
        ["1970-01-02", "1970-01-01T12:00:00", ""],
        ["02.01.1970", "01.01.1970 12:00", ""],
    ):
        frame = pd.DataFrame({"d": cells})
        said = (ColumnSchema("d", type="date", missing="median"),)
        x = encode(frame, columns_of_schema(frame, said, "it"), "it").x
        assert np.allclose(x, np.array([[1, 0], [0.5, 0], [0.75, 1]]))
    with pytest.raises(UserError, match="no date"):
        columns_of_schema(pd.DataFrame({"d": ["soon"]}), (ColumnSchema("d", type="date"),), "it")


def test_a_schema_that_does_not_fit_is_refused() -> None:
    frame = pd.DataFrame({"a": [1.5, 2.0], "c": ["x", "y"]})
    for said, message in (
        (ColumnSchema("b"), "does not have it"),
        (ColumnSchema("a", type="integer"), "whole number"),
        (ColumnSchema("c", type="category", levels=("x",)), "not among its levels"),
        (ColumnSchema("c"), "text in a column of numbers"),
    ):
        with pytest.raises(UserError, match=message):
            columns_of_schema(frame, (said,), "it")
    with pytest.raises(UserError, match="the schema has no feature"):
        columns_of_schema(frame, (), "it")
    rare = ColumnSchema("c", type="category", levels=("x",), rare="other")
    found = columns_of_schema(frame, (rare,), "it")
    assert encode(pd.DataFrame({"c": ["x", "never"]}), found, "it").x.tolist() == [[1, 0], [0, 1]]
    assert not encode(pd.DataFrame({"c": ["never"]}), found, "it").unknown.any()


def test_looks_never_refuse() -> None:
    odd = pd.DataFrame({"l": [[1], [2]], "e": ["", ""], "t": pd.to_datetime(["2020-01-01", ""])})
    look = look_at(odd)
    assert [column.schema.role for column in look.columns] == ["drop", "drop", "drop"]
    assert math.isinf(look.columns[0].schema.high)


def test_numbers_that_are_written_in_words_are_no_ids() -> None:
    amounts = [1020.5 + 37 * k for k in range(60)]
    frame = pd.DataFrame(
        {
            "thousands": [f"{value:,.2f}" for value in amounts],
            "swiss": [f"{value:,.0f}".replace(",", "'") for value in amounts],
            "share": [f"{value / 100:.2f} %" for value in amounts],
            "price": [f"${value:.2f}" for value in amounts],
            "code": [f"AB-{k}" for k in range(60)],
            "address": [f"10.0.{k}.1" for k in range(60)],
        }
    )
    found = {column.schema.name: column for column in look_at(frame).columns}
    for name in ("thousands", "swiss", "share", "price"):
        assert found[name].schema.role == "drop"
        assert "write them plainly" in found[name].remark
    for name in ("code", "address"):
        assert found[name].schema.role == "id"


def test_a_table_of_one_row_or_one_class_is_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for content in ("a,l\n1,x\n", "a,l\n1,x\n2,x\n3,x\n"):
        (tmp_path / "t.csv").write_text(content)
        with pytest.raises(SystemExit) as stop:
            main(["inspect", str(tmp_path / "t.csv"), "--label", "l"])
        assert not stop.value.code
        assert "what to expect is not known yet" in capsys.readouterr().out


def test_a_schema_that_cannot_be_written_is_said_first(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "t.csv").write_text("a,l\n1,x\n2,y\n")
    with pytest.raises(SystemExit) as stop:
        main(["inspect", str(tmp_path / "t.csv"), "--out", str(tmp_path / "file" / "s.toml")])
    assert stop.value.code == 2
    with pytest.raises(SystemExit) as stop:
        main(["inspect", str(tmp_path), "--out", str(tmp_path / "s.toml")])
    assert stop.value.code == 2
    assert not (tmp_path / "s.toml").exists()


def test_a_schema_that_was_edited_is_not_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "t.csv").write_text("a,l\n1,x\n2,y\n")
    schema = tmp_path / "s.toml"
    command = ["inspect", str(tmp_path / "t.csv"), "--out", str(schema)]
    for _ in range(2):  # the same again is no loss
        with pytest.raises(SystemExit) as stop:
            main(command)
        assert not stop.value.code
    schema.write_text("# mine")
    for wrong in (schema, tmp_path):
        with pytest.raises(SystemExit) as stop:
            main([*command[:-1], str(wrong)])
        assert stop.value.code == 2
    assert "choose another --out, or delete it" in capsys.readouterr().err
    assert schema.read_text() == "# mine"


def test_a_schema_file_that_is_none_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no schema .*featureconvex inspect"):
        read_schema(tmp_path / "s.tml")
    with pytest.raises(UserError, match="name a TOML file"):
        read_schema(tmp_path)
    (tmp_path / "s.toml").write_bytes(b"# Gr\xf6\xdfe")
    with pytest.raises(UserError, match="save it as UTF-8"):
        read_schema(tmp_path / "s.toml")


def test_words_with_commas_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('a,l\n"de, en",x\nfr,y\n"de, en",x\n')
    assert inspect_table(path)[0].remarks["a"] == "'de, en', fr, 2 distinct"
    frame = pd.DataFrame({f"c{k}": [k] for k in range(11)})
    with pytest.raises(UserError, match=r"c8, c9 \.\.\.$"):
        look_at(frame, "typo")


def test_gaps_and_constants_of_a_schema_are_told_in_its_words(tmp_path: Path) -> None:
    schema, table = tmp_path / "s.toml", tmp_path / "t.csv"
    rows = "".join(f"{k},{'red' if k % 3 else 'blue'},7,{'xy'[k % 2]}\n" for k in range(40))
    schema.write_text('[columns.a]\n[columns.b]\ntype = "category"\n[columns.c]\n')
    for row, remedy in ((",red,7,x\n", "median"), ("1,,7,x\n", "level")):
        table.write_text("a,b,c,l\n" + rows + row)
        with pytest.raises(UserError, match=f'write missing = "{remedy}" for it in the schema'):
            find_task(str(table), "l", "x", schema=schema).load()
    table.write_text("a,b,c,l\n" + rows)
    note = find_task(str(table), "l", "x", schema=schema).load().note
    assert "'c' is the same in all training rows, so it has no standard deviation and its" in note
    assert "'a'" not in note
