import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.comparison.comparisons import synthetic_comparison

from featureconvex.comparison.folder import read_comparison, write_comparison
from featureconvex.errors import UserError
from featureconvex.results.strict_json import dump_json

NAMES = ["feature-convex", "smoothing-gaussian", "splitting", "cayley"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_comparison(synthetic_comparison(NAMES, ["cayley"], n=60, infinite=True), tmp_path)
    return tmp_path


def test_what_is_read_back_gives_the_same_numbers_and_files(folder: Path) -> None:
    original = synthetic_comparison(NAMES, ["cayley"], n=60, infinite=True)
    read = read_comparison(folder)
    assert dump_json(read.derive()) == dump_json(original.derive())
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    write_comparison(read, folder)
    assert before["comparison.json"] == (folder / "comparison.json").read_bytes()
    rows = pd.read_parquet(folder / "rows.parquet")
    assert len(rows) == (4 + 4 + 4) * 60
    for ran in read.results:
        for fit in ran.fits:
            assert [c for c in map(str, fit.rows) if "radius" in c] == [
                f"radius_{norm}_{level}"
                for level in ran.method.levels
                if level not in fit.record["unavailable"]
                for norm in ran.method.to_table()["native_norm"]
            ]


def test_numbers_follow_changed_rows(folder: Path) -> None:
    rows = pd.read_parquet(folder / "rows.parquet")
    mine = (rows["method"] == "splitting") & (rows["label"] == 1)
    rows.loc[mine, "radius_l1_certified"] = 0.0
    rows.to_parquet(folder / "rows.parquet", index=False)
    found = read_comparison(folder).derive()["methods"]["splitting"]
    assert max(found["certified_accuracy"]["l1"]["accuracy"]) == 0


def test_where_nothing_ran_there_are_no_rows(tmp_path: Path) -> None:
    written = write_comparison(synthetic_comparison(["cayley"], ["cayley"]), tmp_path)
    assert [p.name for p in written] == ["comparison.json"]
    (ran,) = read_comparison(tmp_path).results
    assert ran.reason == "ZeroDivisionError: no luck <at> all"


def _without(key: str) -> Any:
    return lambda table: {k: v for k, v in table.items() if k != key}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(_without("shape"), id="no shape"),
        pytest.param(_without("methods"), id="no methods"),
        pytest.param(lambda table: table | {"methods": {"linear": {}}}, id="an empty method"),
        pytest.param(lambda table: [table], id="a list"),
    ],
)
def test_a_file_of_another_version_is_refused(folder: Path, change: Any) -> None:
    path = folder / "comparison.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(UserError, match="no comparison that this version can read"):
        read_comparison(folder)


def test_missing_and_foreign_rows_are_refused(folder: Path) -> None:
    path = folder / "rows.parquet"
    rows = pd.read_parquet(path)
    rows[rows["method"] != "splitting"].to_parquet(path, index=False)
    with pytest.raises(UserError, match=r"no rows of splitting sigma 0\.75, which comparison"):
        read_comparison(folder)
    path.write_bytes(b"not Parquet")
    with pytest.raises(UserError, match="cannot be read as Parquet"):
        read_comparison(folder)
    path.unlink()
    with pytest.raises(UserError, match=r"rows\.parquet is missing"):
        read_comparison(folder)
