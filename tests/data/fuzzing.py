"""Damaged and odd inputs, and what holds for each: read as pandas reads it, or refused in words."""

import csv
import io
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from featureconvex.data.files.byte_counts import ByteCounts
from featureconvex.data.files.samples import read_arrays, read_byte_counts, read_pictures
from featureconvex.data.inspection import inspect_table
from featureconvex.data.schema.form import TableForm, sniffed
from featureconvex.data.schema.toml import parse_schema, read_schema, schema_text
from featureconvex.data.tables.encoding import encode
from featureconvex.data.tables.frame import read_frame
from featureconvex.data.tables.learning import learn_columns
from featureconvex.data.tables.stream import csv_blocks, parquet_batches
from featureconvex.errors import UserError

CELLS = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.floats(allow_nan=False, width=32).map(repr),
    st.sampled_from(
        [
            "",
            " ",
            "NA",
            "nan",
            "inf",
            "-0",
            "1,5",
            "1.000,5",
            "0x10",
            "1e400",
            "True",
            "yes",
            "2024-02-30",
        ]
    ),
    st.text(st.characters(codec="utf-8"), max_size=6),
    st.sampled_from(['a"b', "a;b", "a,b", "a\nb", "a\rb", "'", "\t", "\x00", "é", "=1+1", "1_000"]),
)
NAMES = st.one_of(st.sampled_from(["a", "b", "x y", "", "a.1", "é", "label"]), CELLS)


@dataclass(frozen=True)
class Damage:
    """Bytes of a file, with some of them replaced, cut out or put in."""

    share: float
    what: str
    new: bytes

    def done(self, content: bytes) -> bytes:
        place = int(self.share * len(content))
        if self.what == "cut":
            return content[:place]
        over = len(self.new) if self.what == "replace" else 0
        return content[:place] + self.new + content[place + over :]


DAMAGE = st.lists(
    st.builds(
        Damage,
        st.floats(0, 1),
        st.sampled_from(["cut", "replace", "insert"]),
        st.binary(min_size=1, max_size=4),
    ),
    max_size=2,
)


@st.composite
def csv_files(draw: st.DrawFn) -> bytes:
    """CSV as programs write it, and worse."""
    columns = draw(st.integers(1, 4))
    table = [draw(st.lists(NAMES, min_size=columns, max_size=columns))]
    uneven = draw(st.sampled_from([0, 0, 0, 1]))
    for _ in range(draw(st.integers(0, 5))):
        width = max(1, columns + draw(st.integers(-uneven, uneven)))
        table.append(draw(st.lists(CELLS, min_size=width, max_size=width)))
    out = io.StringIO()
    writer = csv.writer(
        out,
        delimiter=draw(st.sampled_from([",", ",", ";", "\t", "|"])),
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
        lineterminator=draw(st.sampled_from(["\n", "\r\n", "\r"])),
    )
    writer.writerows(table)
    encoding = draw(st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "cp1252", "utf-16"]))
    content = out.getvalue().encode(encoding, errors="replace")
    for damage in draw(DAMAGE):
        content = damage.done(content)
    return content


@st.composite
def parquet_files(draw: st.DrawFn) -> bytes:
    """Parquet of columns of every type, some of it damaged."""
    rows = draw(st.integers(1, 4))
    kinds = {
        "int": st.integers(-(2**63), 2**63 - 1),
        "float": st.floats(),
        "text": st.text(max_size=4),
        "bool": st.booleans(),
        "date": st.datetimes(
            min_value=pd.Timestamp("1700-01-01").to_pydatetime(),
            max_value=pd.Timestamp("2200-01-01").to_pydatetime(),
        ),
        "none": st.none(),
        "bytes": st.binary(max_size=3),
    }
    chosen = draw(st.lists(st.sampled_from(sorted(kinds)), min_size=1, max_size=4))
    frame = pd.DataFrame(
        {
            f"{kind}{k}": pd.Series(draw(st.lists(kinds[kind], min_size=rows, max_size=rows)))
            for k, kind in enumerate(chosen)
        }
    )
    content: bytes = frame.to_parquet(index=False)
    for damage in draw(DAMAGE):
        content = damage.done(content)
    return content


SCHEMA = """label = "label"
sensitive = "1"

[file]
separator = ";"
decimal = ","

[columns."x y"]
role = "feature"
type = "number"
attacker = "increase"
cost = 2.5
unit = "EUR"

[columns.b]
type = "category"
levels = ["a", "b", "other"]
rare = "other"
missing = "level"

[columns.c]
role = "id"
"""


@st.composite
def schema_texts(draw: st.DrawFn) -> str:
    """A schema with lines changed, values replaced, and damage."""
    lines = SCHEMA.splitlines()
    values = st.one_of(
        st.sampled_from(
            ["true", "-1", "0", "nan", "inf", "1e400", '"std"', '""', "[]", '["a", "a"]', "[1, 2]"]
        ),
        st.sampled_from(
            ['"free"', '"drop"', '"boolean"', '"date"', "2024-01-01", "{a = 1}", "'x'"]
        ),
        st.text(max_size=5).map(lambda text: f'"{text}"'),
    )
    for _ in range(draw(st.integers(0, 4))):
        k = draw(st.integers(0, len(lines) - 1))
        key, equals, _ = lines[k].partition(" = ")
        if draw(st.booleans()) and equals:
            lines[k] = f"{key} = {draw(values)}"
        elif draw(st.booleans()):
            lines.insert(k, lines[draw(st.integers(0, len(lines) - 1))])
        else:
            del lines[k]
            lines = lines or [""]
    content = "\n".join(lines).encode()
    for damage in draw(DAMAGE):
        content = damage.done(content)
    return content.decode("utf-8", errors="replace")


def refused(call: Callable[[], Any]) -> Any:
    """What the call gives; None where it refuses in words, which must say something."""
    try:
        return call()
    except UserError as error:
        if not str(error).strip():
            raise AssertionError("a refusal without words") from error
        return None


def check_csv(content: bytes, folder: Path) -> bool:
    """Whether it was read; then cell by cell as pandas reads texts, and the same in blocks."""
    path = folder / "table.csv"
    path.write_bytes(content)
    form = refused(lambda: sniffed(content))
    refused(lambda: inspect_table(path, None))
    refused(lambda: inspect_table(path, "label"))
    frame = refused(lambda: read_frame(path, form=form))
    if frame is None:
        return False
    texts = pd.read_csv(
        path,
        dtype=str,
        sep=form.separator,
        encoding=form.encoding,
        keep_default_na=False,
        na_values=[""],
        index_col=False,
    ).fillna("")
    check_cells(frame, texts, form)
    columns = refused(lambda: learn_columns(frame, str(path)))
    if columns is not None:
        refused(lambda: encode(frame, columns, str(path)))
    blocks = refused(lambda: [block.parse() for block, _ in csv_blocks(path, form)])
    if blocks is not None and all(good.all() for _, good in blocks):
        first = 0
        for part, _ in blocks:
            check_cells(part, texts.iloc[first : first + len(part)], form)
            first += len(part)
        assert first == len(frame)
    return True


def check_cells(frame: pd.DataFrame, texts: pd.DataFrame, form: TableForm) -> None:
    """Every cell is what its text says."""
    assert frame.shape == texts.shape
    for k in range(frame.shape[1]):
        for value, text in zip(frame.iloc[:, k], texts.iloc[:, k], strict=True):
            check_cell(value, text, form)


def check_cell(value: Any, text: str, form: TableForm) -> None:
    """A number is the one that is written; everything else is the text itself."""
    if isinstance(value, str):
        plain = text.strip().replace(",", ".") if form.decimal == "," else text
        assert value in (text, plain)
    elif isinstance(value, (bool, np.bool_)):
        assert text.lower() == str(bool(value)).lower()
    elif pd.isna(value):
        assert text.strip() == "" or text.strip().lower() in ("nan", "+nan", "-nan")
    else:
        written = text.strip().replace(form.decimal, ".")
        if math.isinf(float(value)):
            assert math.isinf(float(written))
        elif isinstance(value, (int, np.integer)):
            assert int(value) == int(written)
        else:
            assert math.isclose(float(value), float(written), rel_tol=1e-15, abs_tol=5e-324)


def check_parquet(content: bytes, folder: Path) -> bool:
    """Whether it was read; in one piece and in batches alike."""
    path = folder / "table.parquet"
    path.write_bytes(content)
    refused(lambda: inspect_table(path, None))
    frame = refused(lambda: read_frame(path))
    batches = refused(lambda: [part for part, _ in parquet_batches(path)])
    if frame is None or batches is None:
        return False
    assert sum(map(len, batches)) == len(frame)
    columns = refused(lambda: learn_columns(frame, str(path)))
    if columns is not None:
        refused(lambda: encode(frame, columns, str(path)))
    return True


def check_schema(text: str, folder: Path) -> bool:
    """Whether it was read; then what is written is the same when it is read and written again."""
    path = folder / "schema.toml"
    path.write_text(text, encoding="utf-8", errors="replace")
    schema = refused(lambda: read_schema(path))
    if schema is None:
        return False
    written = schema_text(schema)
    assert schema_text(parse_schema(written)) == written
    return True


def check_file(content: bytes, folder: Path) -> bool:
    """Counts are right; what is no picture and no array is refused."""
    for suffix, read in (
        (".bin", lambda paths: read_byte_counts(paths, ByteCounts(2, 16))),
        (".png", read_pictures),
        (".npy", read_arrays),
    ):
        path = folder / f"file{suffix}"
        path.write_bytes(content)
        refused(partial(read, [path]))
    counted = refused(lambda: read_byte_counts([folder / "file.bin"], ByteCounts()))
    if counted is None:
        return False
    assert {k: int(n) for k, n in enumerate(counted.x[0]) if n} == Counter(content)
    return True


KINDS: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any, Path], bool]]] = {
    "csv": (csv_files(), check_csv),
    "parquet": (parquet_files(), check_parquet),
    "schema": (schema_texts(), check_schema),
    "file": (st.binary(max_size=60), check_file),
}
"""Name -> what is drawn, and what is checked of it in a folder."""
