"""Tables in pieces: every record is told apart, and reads as in the whole file."""

import csv
import gzip
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featureconvex.data.schema.form import TableForm
from featureconvex.data.tables import stream
from featureconvex.data.tables.frame import read_frame
from featureconvex.data.tables.stream import csv_blocks, parquet_batches
from featureconvex.errors import UserError

CELLS = st.one_of(
    st.sampled_from(["1", "-2.5", "", "x", "é", "a b", "true", "NA", " 3 "]),
    st.sampled_from(['"a,b"', '"two\nlines"', '"say ""so"""', '""', '5" disk']),
)


def whole(path: Path, form: TableForm | None = None) -> tuple[pd.DataFrame, np.ndarray]:
    """All blocks of a file: what can be read, as texts, and which records these are."""
    frames, good = [], []
    for block, size in csv_blocks(path, form):
        frame, flags = block.parse(("a", "b", "c"))
        frames.append(frame)
        good.append(flags)
        assert size >= 0
    return pd.concat(frames, ignore_index=True), np.concatenate(good)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "BLOCK", 40)
    monkeypatch.setattr(stream, "BATCH", 7)


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(st.lists(CELLS, min_size=1, max_size=5), min_size=1, max_size=25),
    end=st.sampled_from(["\n", "\r\n"]),
    last=st.booleans(),
)
def test_records_are_those_of_the_csv_module(
    rows: list[list[str]], end: str, last: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = end.join(["a,b,c", *(",".join(row) for row in rows)]) + (end if last else "")
    path = tmp_path_factory.mktemp("t") / "t.csv"
    path.write_bytes(text.encode())
    # Blank lines are no records; a cell of quotes is one.
    records = [r for r in csv.reader(io.StringIO(text, newline="")) if r][1:]
    if not records:
        return
    try:
        frame, good = whole(path)
    except UserError:
        # Only where quotes are in the middle of things.
        assert '5" disk' in text
        return
    assert good.tolist() == [len(r) == 3 for r in records]
    expected = [r for r in records if len(r) == 3]
    found = frame.fillna("").to_numpy().tolist()
    assert found == expected


def test_blocks_read_as_the_whole_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {"a": rng.normal(size=200), "b": rng.choice(["x", "y, z"], 200), "c": rng.normal(size=200)}
    )
    table.to_csv(tmp_path / "t.csv", index=False)
    with gzip.open(tmp_path / "t.csv.gz", "wb") as packed:
        packed.write((tmp_path / "t.csv").read_bytes())
    (tmp_path / "wide.csv").write_bytes((tmp_path / "t.csv").read_text().encode("utf-16"))
    expected = read_frame(tmp_path / "t.csv")
    for name, form in (
        ("t.csv", None),
        ("t.csv.gz", None),
        ("wide.csv", TableForm(encoding="utf-16")),
    ):
        frames = [block.parse(("b",))[0] for block, _ in csv_blocks(tmp_path / name, form)]
        assert len(frames) > 10
        pd.testing.assert_frame_equal(pd.concat(frames, ignore_index=True), expected)
    sizes = [size for _, size in csv_blocks(tmp_path / "t.csv", None)]
    assert sum(sizes) == (tmp_path / "t.csv").stat().st_size
    expected.to_parquet(tmp_path / "t.parquet")
    batches = list(parquet_batches(tmp_path / "t.parquet"))
    assert len(batches) > 20
    assert sum(count for _, count in batches) == 200
    pd.testing.assert_frame_equal(
        pd.concat([frame for frame, _ in batches], ignore_index=True),
        read_frame(tmp_path / "t.parquet"),
    )


ODD = [
    "",
    " ",
    "\t",
    " \t ",
    "\0",
    "\0\0",
    "\f",
    "\v",
    "\ufeff",
    "\xa0",
    "\x1a",
    "\x1c",
    "\0,\0",
    ",",
    ",,",
]


@pytest.mark.parametrize("separator", [",", ";", "\t", " ", "|"])
@pytest.mark.parametrize("width", [1, 2, 3])
@pytest.mark.parametrize("quotes", ["", '"'])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_line_that_looks_blank_is_a_row_unless_it_is(
    separator: str, width: int, quotes: str, end: str, tmp_path: Path
) -> None:
    """Only spaces and tabs that separate nothing are no row: none vanishes, wherever a piece begins."""
    names = "abc"[:width]
    row = separator.join(["1", f"{quotes}2{quotes}", "3"][:width])
    form = TableForm(separator)
    for odd in ODD:
        line = odd.replace(",", separator)
        lines = [row, line, row, row, row, row, row, row, row, row, line]
        text = end.join([separator.join(names), *lines])
        (tmp_path / "t.csv").write_bytes(text.encode())
        full = [x for x in lines if x.strip(" \t".replace(separator, ""))]
        frame, good = whole(tmp_path / "t.csv", form)
        assert good.tolist() == [x.count(separator) + 1 == width for x in full], repr(odd)
        assert len(frame) == good.sum()
        # The whole file at once refuses what a single row may cost.
        try:
            read = read_frame(tmp_path / "t.csv", names, form)
        except UserError:
            assert not good.all()
        else:
            assert good.all()
            pd.testing.assert_frame_equal(read, frame, check_dtype=False)


def test_a_row_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    """Its last cells would look empty, and a schema may fill those in."""
    (tmp_path / "t.csv").write_text("a,b,c\n1,2,3\n4\n5,6\n7,8,\n")
    with pytest.raises(UserError, match=r"row 1 \(from 0\) has 1 of 3 cells.*2 such rows"):
        read_frame(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text('a;b\n1;"2;\n2"\n3;\n4\n')
    with pytest.raises(UserError, match=r"row 2 \(from 0\) has 1 of 2 cells"):
        read_frame(tmp_path / "t.csv", (), TableForm(";"))
    (tmp_path / "t.csv").write_text("a,b,c\n1,2,3\n7,8,\n")
    assert len(read_frame(tmp_path / "t.csv")) == 2


def test_a_cell_of_two_lines_is_never_cut_in_two(tmp_path: Path) -> None:
    """Whatever separates the columns, and wherever a piece ends."""
    rows = "".join(f'{k};"two\nlines; {k}"\n' for k in range(30))
    (tmp_path / "t.csv").write_text("a;b\n" + rows)
    frame, good = whole(tmp_path / "t.csv", TableForm(";"))
    assert good.all()
    assert frame["b"].tolist() == [f"two\nlines; {k}" for k in range(30)]


def test_bytes_that_are_no_text_cost_their_row(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"a,b,c\n1,2,3\n4,\xff,6\n7,8,9\n")
    frame, good = whole(tmp_path / "t.csv")
    assert good.tolist() == [True, False, True]
    assert frame["a"].tolist() == ["1", "7"]
    frame, good = whole(tmp_path / "t.csv", TableForm(encoding="cp1252"))
    assert good.all()
    assert frame["b"][1] == "ÿ"


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=300))
def test_whatever_the_bytes_no_error_but_ours(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("t") / "t.csv"
    path.write_bytes(b"a,b,c\n" + content)
    try:
        for block, _ in csv_blocks(path, None):
            frame, good = block.parse(("a", "b", "c"))
            assert len(frame) == good.sum()
    except UserError:
        pass


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "cannot read"),
        (b"a,b,c\n", "no rows"),
        (b"a,b,c\n\n  \n", "no rows"),
        (b"a,a\n1,2\n", "two columns named 'a'"),
        (b"a;b\n1;2\n", "separator looks like"),
    ],
)
def test_what_is_no_table_says_so(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(UserError, match=words):
        whole(tmp_path / "t.csv")


def test_an_open_quotation_mark_does_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "LONGEST", 1000)
    (tmp_path / "t.csv").write_text('a,b,c\n1,"2,3\n' + "4,5,6\n" * 1000)
    with pytest.raises(UserError, match="quotation mark"):
        whole(tmp_path / "t.csv")
