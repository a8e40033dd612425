"""The review of an attacker after a run: what it says is what certificates and attacks say."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tests.undrawn import undrawn_reports

import featureconvex as fc
from featureconvex import cli
from featureconvex.attacker import Attacker, change_in_words
from featureconvex.cli.run import run_sentences
from featureconvex.data import find_task
from featureconvex.data.schema import ColumnSchema, Schema
from featureconvex.data.tables.columns import Column
from featureconvex.detector import Detector
from featureconvex.experiment.review import review
from featureconvex.report.attacker import budget_sentences
from featureconvex.report.report import render_report
from featureconvex.results.folder import read_run
from featureconvex.results.review import REVIEW_FILE, Budget, Review, read_review
from featureconvex.results.strict_json import Number

SCHEMA = """
label = "spam"
sensitive = "yes"
unit = "euros"
[columns.id]
role = "id"
[columns.links]
type = "integer"
attacker = "decrease"
cost = 2.0
unit = "link"
[columns.kind]
type = "category"
cost = 1.5
[columns.paid]
type = "boolean"
[columns.age]
attacker = "fixed"
"""


# No pilots: the review is under test, not the training.
CHOSEN = ("--temperature", 0.3)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table, its schema, and a run."""
    folder, rng = tmp_path_factory.mktemp("table"), np.random.default_rng(0)
    spam = rng.random(400) < 0.5
    frame = pd.DataFrame(
        {
            "id": [f"m{i}" for i in range(400)],
            "links": rng.poisson(np.where(spam, 7, 2)),
            "kind": np.where(rng.random(400) < 0.8, np.where(spam, "a", "b"), "c"),
            "paid": rng.random(400) < np.where(spam, 0.3, 0.7),
            "age": rng.normal(np.where(spam, 30, 40), 8).round(1),
            "spam": np.where(spam, "yes", "no"),
        }
    )
    frame.to_csv(folder / "mails.csv", index=False)
    (folder / "schema.toml").write_text(SCHEMA)
    with undrawn_reports():
        run(folder / "mails.csv", folder / "run", "--schema", folder / "schema.toml", *CHOSEN)
    return folder


def run(data: Path, out: Path, *options: object) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["run", str(data), "--out", str(out), "--epochs", "6", *map(str, options)])
    assert stop.value.code == 0


def reviewed(folder: Path) -> Review:
    review = read_review(folder)
    assert review is not None
    return review


def price(value: Number) -> float:
    """Of a review's own kind of number."""
    assert value is not None
    return float(value)


def test_a_described_table_keeps_its_columns(table: Path) -> None:
    """After a learned map an edit of a price of 1 was certified up to a tenth of it."""
    assert json.loads((table / "run" / "record.json").read_text())["feature_map"] == "identity"
    review = reviewed(table / "run")
    assert review["budgets"][0]["unit"] == "euros"
    assert float(review["budgets"][0]["median"] or 0) >= 0.5


def test_no_evasion_is_cheaper_than_its_certificate(table: Path) -> None:
    review, rows = reviewed(table / "run"), pd.read_parquet(table / "run" / "rows.parquet")
    prices = [price(row["certified"]) for row in review["at_risk"]]
    assert prices == sorted(prices)
    found = [row for row in review["at_risk"] if row["price"] is not None]
    assert len(found) >= 3
    for row in found:
        assert price(row["price"]) >= price(row["certified"])
        assert "age" not in row["evasion"]
        assert row["evasion"]
    flagged = rows[(rows.label == 1) & (rows.predicted == 1)]
    assert review["flagged"] == len(flagged)
    assert {row["index"] for row in review["at_risk"]} <= set(flagged["index"])
    assert rows["id"].iloc[review["at_risk"][0]["index"]].startswith("m")


def test_the_words_are_the_change_and_its_price(table: Path) -> None:
    """Prices of named changes, added up by hand, are the price of the evasion."""
    for row in reviewed(table / "run")["at_risk"]:
        if row["price"] is None:
            continue
        total = 0.0
        for part in row["evasion"].split(", "):
            name, old, _, new = part.split(" ")
            total += {"kind": 1.5, "paid": 1.0}.get(name) or 2.0 * (float(old) - float(new))
        assert total == pytest.approx(float(row["price"]))


def test_columns_alone_are_certified(table: Path) -> None:
    """No attack on one column alone gets below what is said of it at any of the flagged rows' medians."""
    review, model = reviewed(table / "run"), fc.load(table / "run" / "model")
    columns = {column["column"]: column for column in review["columns"]}
    assert set(columns) == {"links", "kind", "paid", "age"}
    assert columns["age"]["alone"] is None
    assert columns["age"]["attacker"] == "cannot change"
    assert isinstance(model, Detector)
    assert model.attacker is not None
    frame = pd.read_csv(table / "mails.csv")
    spam = frame[frame.spam == "yes"]
    for name in ("links", "kind", "paid"):
        one = model.attacker.only(name)
        found = model.attack(spam, one.threat, one.domain)
        proved = fc.certify(model, spam, one.threat, one.domain, "domain").radius
        assert (found.distance[found.found] >= proved[found.found] * (1 - 1e-9)).all()
        before = model.meaning.table(spam, "x").x.astype(np.float32)
        others = [k for _, c, at in model.attacker.placed for k in at if c.name != name]
        assert (found.adversarial == before)[:, others].all()


def test_columns_are_in_the_order_of_what_is_shown_of_them(table: Path) -> None:
    review, model = reviewed(table / "run"), fc.load(table / "run" / "model")
    takes = [price(column["step_takes"]) for column in review["columns"]]
    fixed = [column["attacker"] == "cannot change" for column in review["columns"]]
    assert fixed == [False, False, False, True]
    assert takes[:-1] == sorted(takes[:-1], reverse=True)
    # The score is convex: an edit takes off at most what the slope says.
    assert isinstance(model, Detector)
    assert model.attacker is not None
    data = find_task(str(table / "mails.csv"), schema=table / "schema.toml").load()
    x = torch.from_numpy(data.test.x).to(model.dtype)
    x = x[torch.from_numpy((model.sensitive_margin(x) > 0) & (data.test.y == 1))]
    before = model.sensitive_margin(x)
    for said, _, places in model.attacker.placed:
        if said.numeric:
            continue
        after = []
        for level in places:
            edited = x.clone()
            edited[:, list(places)] = 0.0
            edited[:, level] = 1.0 if len(places) > 1 else 1.0 - x[:, level]
            after.append(model.sensitive_margin(edited))
        takes_off = np.median(np.maximum(0.0, 1 - np.min(after, axis=0) / before))
        shown = next(c for c in review["columns"] if c["column"] == said.name)
        assert shown["step"] is None
        assert 0 < takes_off <= price(shown["step_takes"]) * (1 + 1e-5)


def test_tables_are_written_for_spreadsheets(table: Path) -> None:
    review = reviewed(table / "run")
    for name in ("columns", "at_risk", "baselines"):
        frame = pd.read_csv(table / "run" / f"attacker_{name}.csv")
        assert len(frame) == len(review[name])
    assert all(0.5 < line["clean_accuracy"] <= 1 for line in review["baselines"])


def test_rows_outside_the_attacker_s_ranges_are_counted(table: Path) -> None:
    found: Any = fc.load(table / "run")
    narrow = tuple(
        replace(column, low=0.0, high=3.0) if column.name == "links" else column
        for column in found.schema.columns
    )
    found.schema = replace(found.schema, columns=narrow)
    data = find_task(str(table / "mails.csv"), schema=table / "schema.toml").load()
    reviewed_again = review(found, data, torch.from_numpy(data.test.x).to(found.dtype))
    assert reviewed_again is not None
    assert data.feature_names is not None
    place = (found.sensitive_margin(data.test.x) > 0) & (data.test.y == 1)
    many = int((data.test.x[place][:, data.feature_names.index("links")] > 3).sum())
    assert many > 0
    assert (
        f" {many} of {place.sum()} flagged sensitive test rows lie outside"
        in reviewed_again["sentence"]
    )
    assert reviewed_again["outside"] == many
    # What a run prints says so, too.
    path = table / "run" / REVIEW_FILE
    before = path.read_text()
    try:
        path.write_text(json.dumps({**json.loads(before), "outside": many}))
        assert run_sentences(table / "run")[-1].endswith("nothing is certified of them.")
    finally:
        path.write_text(before)
    assert "outside the attacker" not in run_sentences(table / "run")[-1]


def test_rows_at_risk_carry_the_user_s_own_columns(table: Path) -> None:
    risky = pd.read_csv(table / "run" / "attacker_at_risk.csv")
    rows = pd.read_parquet(table / "run" / "rows.parquet").set_index("index")
    assert list(risky.columns)[:3] == ["index", "row", "id"]
    assert risky["id"].astype(str).tolist() == rows.loc[risky["index"], "id"].astype(str).tolist()


def test_the_report_states_the_attacker_first(table: Path) -> None:
    page = render_report(read_run(table / "run"))
    review = reviewed(table / "run")
    assert page.index("The attacker may move links down only (2 per link)") < page.index(
        'id="headline"'
    )
    for words in ("less than", "euros", "boosted trees", review["at_risk"][0]["row"]):
        assert words in page


def test_a_run_without_a_review_still_has_a_report(table: Path) -> None:
    path = table / "run" / REVIEW_FILE
    before = path.read_text()
    try:
        path.unlink()
        assert 'id="attacker"' not in render_report(read_run(table / "run"))
        path.write_text('{"sentence": "half of it"}')
        with pytest.raises(fc.UserError, match="is damaged"):
            read_run(table / "run")
    finally:
        path.write_text(before)


@pytest.mark.usefixtures("few_pilots")
def test_files_are_reviewed_by_name(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for kind, low in (("bad", 0), ("good", 90)):
        (tmp_path / "files" / kind).mkdir(parents=True)
        for k in range(40):
            content = rng.integers(low, low + 120, 400).astype(np.uint8).tobytes()
            (tmp_path / "files" / kind / f"{k}.bin").write_bytes(content)
    with undrawn_reports():
        run(
            tmp_path / "files",
            tmp_path / "run",
            *("--bytes", "histogram", "--sensitive", "bad", "--norm", "1", "--epochs", "10"),
        )
    review = reviewed(tmp_path / "run")
    assert [budget["threat"] for budget in review["budgets"]] == ["append", "insert", "change"]
    assert review["columns"] == []
    assert all(row["row"].endswith(".bin") for row in review["at_risk"])
    for row in review["at_risk"]:
        if row["price"] is not None:
            assert price(row["price"]) > price(row["certified"])
            assert row["evasion"].startswith("append ")
            assert " x byte_" in row["evasion"]


@pytest.mark.usefixtures("few_pilots")
def test_counts_of_ngrams_are_no_evasion(tmp_path: Path) -> None:
    """An attack may find counts that no file has."""
    rng = np.random.default_rng(1)
    for kind, low in (("bad", 0), ("good", 90)):
        (tmp_path / "files" / kind).mkdir(parents=True)
        for k in range(40):
            content = rng.integers(low, low + 4, 300).astype(np.uint8).tobytes()
            (tmp_path / "files" / kind / f"{k}.bin").write_bytes(content)
    with undrawn_reports():
        run(
            tmp_path / "files",
            tmp_path / "run",
            *("--bytes", "ngrams:2:256", "--sensitive", "bad", "--norm", "1", "--epochs", "10"),
        )
    rows = reviewed(tmp_path / "run")["at_risk"]
    assert rows
    assert all(row["price"] is None and row["evasion"] == "" for row in rows)


@pytest.mark.parametrize("form", ["plot:64", "plot:32:8"])
def test_plots_of_files_are_reviewed_as_certify_sees_them(form: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for kind, low in (("bad", 0), ("good", 90)):
        (tmp_path / "files" / kind).mkdir(parents=True)
        for k in range(30):
            content = rng.integers(low, low + 120, int(rng.integers(20, 90))).astype(np.uint8)
            (tmp_path / "files" / kind / f"{k}.bin").write_bytes(content.tobytes())
    with undrawn_reports():
        run(
            tmp_path / "files",
            tmp_path / "run",
            *("--bytes", form, "--sensitive", "bad", "--temperature", "0.3"),
        )
    review = reviewed(tmp_path / "run")
    assert [budget["threat"] for budget in review["budgets"]] == ["append", "change"]
    assert "nothing is certified against" in review["sentence"]
    assert review["level"] == "domain"
    assert review["columns"] == []
    rows = pd.read_parquet(tmp_path / "run" / "rows.parquet")
    flagged = rows[(rows["label"] == 1) & (rows["margin"] > 0)]
    named = tmp_path / "again.csv"
    ask = ("--threat", "append", "--threat", "change")
    with pytest.raises(SystemExit, match="0"):
        cli.main(
            [
                "certify",
                *map(str, (tmp_path / "run", tmp_path / "files/bad")),
                *ask,
                "--out",
                str(named),
            ]
        )
    again = pd.read_csv(named)
    radii = dict(zip(again["file"], again["radius_append"].astype(float), strict=True))
    mine = [radii[Path(row).name] for row in flagged["row"]]
    assert review["flagged"] == len(flagged) > 2
    median = np.quantile(mine, 0.5, method="lower")
    assert review["budgets"][0]["median"] == ("inf" if np.isinf(median) else median)
    for row in review["at_risk"]:
        certified = radii[Path(row["row"]).name]
        assert row["certified"] == ("inf" if np.isinf(certified) else certified)


def test_an_endless_budget_is_said_in_words() -> None:
    review = Review(
        sentence="",
        level="tight",
        flagged=3,
        budgets=[
            Budget(threat="edits", unit="euros", certified=3, median="inf"),
            Budget(threat="append", unit="bytes", certified=3, median="inf"),
        ],
        columns=[],
        at_risk=[],
        baselines=[],
    )
    assert (
        "less than 0"
        not in budget_sentences(
            Review(
                **{
                    **review,
                    "budgets": [Budget(threat="edits", unit="euros", certified=1, median=0.0)],
                }
            )
        )[0]
    )
    edits, append = budget_sentences(review)
    assert "half of the 3 flagged sensitive test rows keep their flag whatever this" in edits
    assert "keep their flag after any append; 3 of them are certified for some budget" in append


@pytest.mark.parametrize(
    ("flagged", "budget", "words"),
    [
        (
            1,
            Budget(threat="edits", unit="standard deviations", certified=1, median=1.0),
            "the 1 flagged sensitive test row keeps its flag whatever this attacker buys for less than 1 "
            "standard deviation.",
        ),
        (
            1,
            Budget(threat="edits", unit="euros", certified=0, median=0.0),
            "the 1 flagged sensitive test row is certified for no budget of edits.",
        ),
        (
            5,
            Budget(threat="edits", unit="euros", certified=0, median=0.0),
            "none of the 5 flagged sensitive test rows is certified for a budget of edits.",
        ),
        (
            5,
            Budget(threat="edits", unit="euros", certified=1, median=0.0),
            "1 of the 5 flagged sensitive test rows is certified for some budget of edits above 0, fewer "
            "than half.",
        ),
        (
            5,
            Budget(threat="append", unit="bytes", certified=4, median=12.0),
            "half of the 5 flagged sensitive test rows keep their flag after any append of up to 12 "
            "bytes; 4 of them are certified for some budget above 0.",
        ),
    ],
)
def test_one_is_one(flagged: int, budget: Budget, words: str) -> None:
    review = Review(
        sentence="",
        level="tight",
        flagged=flagged,
        budgets=[budget],
        columns=[],
        at_risk=[],
        baselines=[],
    )
    assert budget_sentences(review) == [f"Certified (tight): {words}"]


def test_quiet_and_json(table: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    options, mails = ("--schema", table / "schema.toml", *CHOSEN), tmp_path / "mails.csv"
    mails.write_text("".join((table / "mails.csv").read_text().splitlines(keepends=True)[:121]))
    with undrawn_reports():
        run(mails, tmp_path / "a", *options)
        told = capsys.readouterr()
        # The same command finds its model and its rows.
        run(mails, tmp_path / "a", "--quiet", *options)
        hushed = capsys.readouterr()
        run(mails, tmp_path / "a", "--json", "--quiet", *options)
        values = json.loads(capsys.readouterr().out)
    lines = told.out.splitlines()
    assert lines[0].startswith("Of ")
    assert lines[2].startswith("Certified (tight): half of")
    places = [f"report: {tmp_path / 'a/report.html'}", f"model: {tmp_path / 'a/model'}"]
    assert lines[3:] == places
    assert hushed.out.splitlines() == places
    assert hushed.err == ""
    assert values["n_sensitive"] > 0


def test_changes_in_words() -> None:
    said = [
        ColumnSchema("n", cost=1.0),
        ColumnSchema("w", type="category", cost=5.0),
        ColumnSchema("b", type="boolean", cost=0.5),
        ColumnSchema("d", type="date", cost=0.1),
    ]
    columns = (
        Column("n", "number"),
        Column("w", "category", ("x y", "z")),
        Column("b", "boolean"),
        Column("d", "date"),
    )
    attacker = Attacker(Schema(tuple(said)), columns, np.ones(5))
    x = np.array([1.5, 1, 0, 1, 0])
    assert change_in_words(attacker, x, x) == ""
    assert change_in_words(attacker, x, np.array([1.5, 0, 1, 0, 31])) == (
        'w "x y" → "z", d 1970-01-01 → 1970-02-01, b yes → no'
    )
    dust = np.array([1.5 + 1e-9, 0, 1, 1, 0])
    assert change_in_words(attacker, x, dust) == 'w "x y" → "z", 1 smaller move'


def test_terms_are_said_once() -> None:
    names = [ColumnSchema(name, cost=1.0) for name in "abc"]
    columns = tuple(Column(name, "number") for name in "abc")
    sentence = Attacker(Schema(tuple(names)), columns, np.ones(3)).sentence
    assert sentence.startswith("The attacker may move a, b and c (1 per unit each);")
