"""Certifying at work: pieces, bad rows, several inputs, a killed job, processes."""

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.undrawn import undrawn_reports

import featureconvex as fc
from featureconvex import cli
from featureconvex.data import find_task
from featureconvex.data.inputs.pieces import Piece
from featureconvex.data.meaning import Meaning
from featureconvex.data.schema import TableForm
from featureconvex.data.tables import stream
from featureconvex.data.tables.columns import Column
from featureconvex.detector import Detector
from featureconvex.errors import UserError
from featureconvex.experiment import Settings, run
from featureconvex.experiment.certifying import certify_files
from featureconvex.experiment.certifying.against import PRICES_ASIDE, Plan, planned
from featureconvex.experiment.certifying.certifier import Certifier
from featureconvex.experiment.certifying.summary import Summary
from featureconvex.results.columns import RadiusColumn

L2 = [fc.Lp(2)]
ROWS = 90


def mails(n: int = ROWS, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    country = rng.choice(["DE", "FR", "US"], n)
    links = rng.poisson(3.0, n) + 4 * (country == "US")
    spam = np.where(links + rng.normal(size=n) > 5, "spam", "ham")
    return pd.DataFrame(
        {
            "id": [f"{i:03d}" for i in range(n)],
            "country": country,
            "links": links,
            "length": rng.normal(size=n).round(3),
            "reply": rng.random(n) < 0.5,
            "kind": spam,
        }
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mails")
    mails(200, seed=1).drop(columns="id").to_csv(folder / "mails.csv", index=False)
    task = find_task(str(folder / "mails.csv"), label="kind", sensitive="spam")
    with undrawn_reports():
        run(task, folder / "run", Settings(epochs=2, temperature=0.3), progress=False)
    return folder / "run"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many pieces of few rows."""
    monkeypatch.setattr(stream, "BLOCK", 300)
    monkeypatch.setattr(stream, "BATCH", 13)


def certified(
    model: Path, inputs: Path | list[Path], out: Path, **options: object
) -> tuple[pd.DataFrame, Summary]:
    summary = certify_files(model, inputs, out, L2, keep=("id",), **options)  # type: ignore[arg-type]
    assert not out.with_name(f"{out.name}.parts").exists()
    if out.suffix == ".parquet":
        return pd.read_parquet(out), summary
    return pd.read_csv(out, dtype={"id": "str"}), summary


def test_a_single_input_that_does_not_fit_is_refused_before_anything_is_said(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mails().drop(columns="links").to_csv(tmp_path / "m.csv", index=False)
    with pytest.raises(UserError, match="lacks 1 of the 4 columns"):
        certify_files(
            model, tmp_path / "m.csv", tmp_path / "r.csv", ["edits"], level=None, progress=True
        )
    assert capsys.readouterr().err == ""
    mails().to_csv(tmp_path / "m.csv", index=False)
    certify_files(
        model, tmp_path / "m.csv", tmp_path / "r.csv", ["edits"], level=None, progress=True
    )
    assert capsys.readouterr().err.startswith("The attacker may")


OTHERWISE = ("--sep", ";", "--decimal", ",", "--encoding", "cp1252", "--na", "n/v")


def test_a_table_that_is_written_otherwise_says_so_in_options(model: Path, tmp_path: Path) -> None:
    """Another separator, decimal mark and encoding than in training, and a word for a gap."""
    table = mails(40).assign(note="süß")
    table.to_csv(tmp_path / "a.csv", index=False)
    table.loc[3, "length"] = np.nan
    form: dict[str, Any] = {"sep": ";", "decimal": ",", "encoding": "cp1252", "na_rep": "n/v"}
    table.to_csv(tmp_path / "b.csv", index=False, **form)
    told = "lacks 4 of the 4 columns .* a single one: .* --sep says what"
    with pytest.raises(UserError, match=told):
        certify_files(
            model, tmp_path / "b.csv", tmp_path / "b.out.csv", form={"encoding": "cp1252"}
        )
    renamed = Meaning("table", (1,), (Column("Händler", "number"),), ("Händler",))
    wrong = pd.DataFrame({"HÃ¤ndler": [1.0], "b": [2.0]})
    with pytest.raises(UserError, match="--encoding names another"):
        renamed.table(wrong, "t.csv")
    for name, options in (("a", ()), ("b", OTHERWISE)):
        asked = ("certify", model, tmp_path / f"{name}.csv", "--out", tmp_path / f"{name}.out.csv")
        keep = ("--keep", "note")
        assert main_code(*asked, *keep, *options) == 0
    plain, other = (pd.read_csv(tmp_path / f"{name}.out.csv") for name in "ab")
    assert (other["note"] == "süß").all()
    assert other["status_l2"][3] == "non_finite"
    same = other.index != 3
    np.testing.assert_allclose(other["radius_l2"][same], plain["radius_l2"][same], rtol=1e-4)


def test_a_run_is_told_how_its_table_is_written_and_its_model_remembers(tmp_path: Path) -> None:
    table = mails(120, seed=1).drop(columns="id")
    table.to_csv(tmp_path / "m.csv", index=False, sep=";", decimal=",", encoding="cp1252")
    form = {"separator": ";", "decimal": ",", "encoding": "cp1252", "missing": None}
    task = find_task(str(tmp_path / "m.csv"), label="kind", sensitive="spam", form=form)
    data = task.load()
    assert data.feature_names == [
        "country=DE",
        "country=FR",
        "country=US",
        "links",
        "length",
        "reply",
    ]
    again = Meaning.from_extra({"inputs": Meaning.of(data).stored()})
    assert again.form == TableForm(";", ",", "cp1252")
    assert main_code("run", "digits-3-8", "--sep", ";", "--out", tmp_path / "other") == 2
    assert main_code("run", tmp_path / "m.csv", *OTHERWISE, "--out", tmp_path / "other") == 2


def main_code(*arguments: object) -> int:
    """The exit status of a command."""
    try:
        cli.main([str(argument) for argument in arguments])
    except SystemExit as done:
        return int(done.code or 0)
    return 0


def test_pieces_have_the_certificates_of_the_whole(model: Path, tmp_path: Path) -> None:
    table = mails()
    table.to_csv(tmp_path / "m.csv", index=False)
    rows, summary = certified(model, tmp_path / "m.csv", tmp_path / "r.parquet")
    whole = fc.load(model)
    assert isinstance(whole, fc.FeatureConvexModel)
    certificate = fc.certify(whole, table, fc.Lp(2))
    np.testing.assert_allclose(rows["radius_l2"], certificate.radius, rtol=1e-6)
    assert rows["id"].tolist() == table["id"].tolist()
    assert rows["row"].tolist() == rows["index"].tolist() == list(range(ROWS))
    assert summary.rows == ROWS
    assert sum(summary.statuses["l2"].values()) == ROWS
    assert summary.certified("l2") == (certificate.radius > 0).sum()


def test_a_summary_counts_whole_things_and_names_units() -> None:
    summary = Summary(units={"l2": "the columns' own units", "edits": "EUR"})
    for threat, radius in (("l0", 3), ("append", 1), ("patch-2", 2), ("l2", 0.5), ("edits", 2)):
        column = RadiusColumn(threat)
        frame = pd.DataFrame({column.status: ["certified"], column.name: [float(radius)]})
        summary.add(frame)
    ends = [line.partition(")")[2] for line in summary.lines]
    assert ends == [
        "; half of them for 3 coordinates or more",
        "; half of them for 1 byte or more",
        "",
        "; half of them for 0.5 or more, in the columns' own units",
        "; half of them for 2 EUR or more",
    ]


def test_processes_and_formats_do_not_matter(model: Path, tmp_path: Path) -> None:
    table = mails()
    table.to_csv(tmp_path / "m.csv", index=False)
    (tmp_path / "parquet").mkdir()
    table[:50].to_parquet(tmp_path / "parquet" / "a.parquet", index=False)
    table[50:].to_parquet(tmp_path / "parquet" / "b.parquet", index=False)
    one, _ = certified(model, tmp_path / "m.csv", tmp_path / "r.csv")
    two, _ = certified(model, tmp_path / "m.csv", tmp_path / "r2.csv", jobs=2)
    pd.testing.assert_frame_equal(one, two)
    three, _ = certified(model, tmp_path / "parquet", tmp_path / "r3.csv")
    assert three["row"].tolist() == [*range(50), *range(40)]
    assert [Path(name).name for name in three["input"].unique()] == ["a.parquet", "b.parquet"]
    for name in ("id", "predicted_class", "status_l2"):
        assert three[name].tolist() == one[name].tolist()
    np.testing.assert_allclose(three["radius_l2"], one["radius_l2"], rtol=1e-6)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_bad_row_costs_only_itself(kind: str, model: Path, tmp_path: Path) -> None:
    table = mails()
    table.to_csv(tmp_path / "good.csv", index=False)
    before, _ = certified(model, tmp_path / "good.csv", tmp_path / "before.csv")
    bad = table.astype(object)
    bad.loc[5, "links"] = "many"
    bad.loc[40, "length"] = "1,5"
    bad.loc[41, "reply"] = "perhaps"
    bad.loc[60, "country"] = "XX"
    bad.loc[61, "links"] = None
    path = tmp_path / f"bad.{kind}"
    if kind == "csv":
        lines = bad.to_csv(index=False).splitlines()
        lines[71] += ",7"
        lines[72] = "072,DE"
        path.write_text("\n".join(lines))
    else:
        texts = bad.astype({"links": "str", "length": "str", "reply": "str"})
        texts.loc[61, "links"] = None
        texts.to_parquet(path, index=False)
    after, summary = certified(model, path, tmp_path / "after.csv")
    odd = {5: "unreadable", 40: "unreadable", 41: "unreadable", 60: "unknown_category"}
    odd |= {61: "non_finite"} | (dict.fromkeys((70, 71), "unreadable") if kind == "csv" else {})
    assert after["status_l2"][list(odd)].tolist() == list(odd.values())
    assert (after["radius_l2"][list(odd)] == 0).all()
    assert after["predicted"][list(odd)].isna().all()
    rest = [row for row in range(ROWS) if row not in odd]
    pd.testing.assert_frame_equal(after.loc[rest], before.loc[rest], check_dtype=False)
    assert summary.statuses["l2"]["unreadable"] == len(odd) - 2


def test_what_is_wrong_is_told_once_and_names_no_row_of_a_piece(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = mails().astype(object)
    bad.loc[[20, 60], "links"] = "many"
    bad.loc[[25, 65], "country"] = "XX"
    bad.to_csv(tmp_path / "bad.csv", index=False)
    certified(model, tmp_path / "bad.csv", tmp_path / "r.csv", progress=True)
    told = [line for line in capsys.readouterr().err.splitlines() if "bad.csv" in line]
    assert len(told) == 2
    assert "bad.csv: rows that cannot be read; the first: " in told[0]
    assert "column 'links': 'many' is not a number" in told[0]
    assert "column 'country': categories that training never saw" in told[1]
    assert "row 2" not in " ".join(told)


def test_single_columns_have_ranges(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = mails()
    table.to_csv(tmp_path / "m.csv", index=False)

    def certify(*options: object) -> pd.DataFrame:
        out = tmp_path / "r.csv"
        asked = ("certify", model, tmp_path / "m.csv", "--out", out, "--norm", 1, *options)
        with pytest.raises(SystemExit) as stop:
            cli.main([str(part) for part in asked])
        if stop.value.code:
            raise UserError(capsys.readouterr().err)
        return pd.read_csv(out)

    certifier = Certifier(model / "model", Plan([], None, "domain"), ())
    assert certifier.names is not None
    assert certifier.span is not None
    names, (lo, hi) = list(certifier.names), certifier.span
    low, high = np.full(len(names), -np.inf), np.full(len(names), np.inf)
    low[names.index("links")], high[names.index("links")] = 2, 8
    detector = fc.load(model)
    assert isinstance(detector, Detector)
    for options, box in (
        (("--range", "links=2:8"), fc.Box(low, high)),
        (("--training-range",), fc.Box(lo, hi)),
        (
            ("--training-range", "--range", "links=2:8", "--immutable", "length"),
            fc.Box(np.where(low > -9, low, lo), np.where(high < 9, high, hi), ["length"]),
        ),
    ):
        rows, truth = certify(*options), detector.certify(table, fc.Lp(1), box)
        np.testing.assert_allclose(rows["radius_l1"], truth.radius, rtol=1e-6)
        assert rows["status_l1"].tolist() == [str(status) for status in truth.status]
        assert set(rows["status_l1"]) >= {"certified"}
    for wrong, words in (
        (("--range", "lnks=2:8"), "no column of numbers"),
        (("--range", "country=DE=0:1"), "no column of numbers"),
        (("--range", "links=8:2"), "needs LO <= HI"),
        (("--range", "links=nan:2"), "needs LO <= HI"),
        (("--range", "links:8"), "takes COLUMN=LO:HI"),
        (("--range", "links=2:8", "--level", "closed-form"), "blind to"),
    ):
        with pytest.raises(UserError, match=words):
            certify(*wrong)


def test_a_bad_input_costs_only_itself(model: Path, tmp_path: Path) -> None:
    mails().to_csv(tmp_path / "m.csv", index=False)
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    (tmp_path / "cut.csv").write_text(mails().to_csv(index=False) + '1,"2\n' * 3)
    inputs = [tmp_path / name for name in ("none.csv", "m.csv", "other.csv", "cut.csv")]
    rows, summary = certified(model, inputs, tmp_path / "r.parquet")
    assert summary.rows == len(rows)
    last = rows[-3:] if len(summary.failed) == 3 else rows[-2:]
    assert set(last["status_l2"]) == {"unreadable"}
    assert [Path(name).name for name in last["input"]][:2] == ["none.csv", "other.csv"]
    assert any("there is no file" in line for line in summary.lines)
    good = rows[rows["input"] == str(tmp_path / "m.csv")]
    assert good["row"].tolist() == list(range(ROWS))
    with pytest.raises(UserError, match="there is no file"):
        certified(model, [tmp_path / "none.csv", tmp_path / "other.csv"], tmp_path / "q.csv")
    assert not (tmp_path / "q.csv.parts").exists()


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_killed_job_continues(
    suffix: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = mails().astype({"links": object})
    table.loc[3, "links"] = "many"
    table.to_csv(tmp_path / "m.csv", index=False)
    expected, counts = certified(model, tmp_path / "m.csv", tmp_path / f"e.{suffix}")
    done: list[int] = []
    honest = Certifier.__call__

    def killed(self: Certifier, piece: Piece) -> object:
        if len(done) == 4:
            raise SystemExit("killed")
        done.append(piece.number)
        return honest(self, piece)

    out = tmp_path / f"r.{suffix}"
    with monkeypatch.context() as patch:
        patch.setattr(Certifier, "__call__", killed)
        with pytest.raises(SystemExit):
            certified(model, tmp_path / "m.csv", out)
    assert not out.exists()
    parts = sorted((tmp_path / f"r.{suffix}.parts").glob("*.parquet"))
    assert len(parts) == 4
    assert len(pd.concat(map(pd.read_parquet, parts))) > 4
    again: list[int] = []

    def watched(self: Certifier, piece: Piece) -> object:
        again.append(piece.number)
        return honest(self, piece)

    monkeypatch.setattr(Certifier, "__call__", watched)
    rows, summary = certified(model, tmp_path / "m.csv", out)
    pd.testing.assert_frame_equal(rows, expected)
    assert again
    assert min(again) == 4
    assert summary == counts
    # Of other options, other rows: nothing is taken from before.
    (tmp_path / f"r.{suffix}.parts").mkdir()
    with pytest.raises(UserError, match="in the way"):
        certified(model, tmp_path / "m.csv", out)


def test_another_question_does_not_continue(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, out = tmp_path / "m.csv", tmp_path / "r.parquet"
    mails().to_csv(path, index=False)
    honest = Certifier.__call__

    def cut() -> None:
        left = [3]

        def killed(self: Certifier, piece: Piece) -> object:
            left[0] -= 1
            if left[0] < 0:
                raise SystemExit("killed")
            return honest(self, piece)

        with monkeypatch.context() as patch:
            patch.setattr(Certifier, "__call__", killed)
            with pytest.raises(SystemExit):
                certified(model, path, out)

    changed = mails(seed=3)
    for inputs, domain in ((changed, None), (None, fc.Box(-99, 99)), (None, fc.Box(-98, 99))):
        cut()
        if inputs is not None:
            inputs.to_csv(path, index=False)
        options = {} if domain is None else {"domain": domain, "level": "domain"}
        rows, _ = certified(model, path, out, **options)
        table = changed
        detector = fc.load(model)
        assert isinstance(detector, Detector)
        found = fc.certify(detector, table, fc.Lp(2), domain, "domain" if domain else "closed-form")
        # In other pieces, so sums of float32 in another order.
        np.testing.assert_allclose(rows["radius_l2"], found.radius, rtol=1e-6, atol=1e-6)


def test_standard_input_and_output(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mails().to_csv(tmp_path / "m.csv", index=False)
    expected, _ = certified(model, tmp_path / "m.csv", tmp_path / "r.csv")

    class Input:
        buffer = io.BytesIO((tmp_path / "m.csv").read_bytes())

    monkeypatch.setattr(sys, "stdin", Input())
    with pytest.raises(SystemExit, match="0"):
        cli.main(["certify", str(model), "-", "--out", "-", "--keep", "id"])
    said = capsys.readouterr()
    rows = pd.read_csv(io.StringIO(said.out), dtype={"id": "str"})
    pd.testing.assert_frame_equal(rows, expected)
    assert f"l2: {(rows['radius_l2'] > 0).sum()} of {ROWS} rows certified" in said.err


def test_rows_outside_the_training_range_are_counted(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = mails().astype({"length": float})
    table.loc[[3, 4], "length"] = 1e6
    table.to_csv(tmp_path / "m.csv", index=False)
    with pytest.raises(SystemExit, match="0"):
        cli.main(["certify", str(model), str(tmp_path / "m.csv"), "--out", str(tmp_path / "r.csv")])
    rows = pd.read_csv(tmp_path / "r.csv")
    assert rows["outside_range"][[3, 4]].tolist() == [1, 1]
    many = int((rows["outside_range"] > 0).sum())
    assert f"warning: {many} of {ROWS} rows have a feature outside" in capsys.readouterr().out


@settings(max_examples=12)
@given(lines=st.lists(st.text(alphabet='0123456789,."\n\r-e US', max_size=25), max_size=12))
def test_whatever_the_lines_every_row_has_a_status(
    model: Path, lines: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    tmp_path = tmp_path_factory.mktemp("f")
    content = mails(5).to_csv(index=False) + "\n".join(lines)
    (tmp_path / "m.csv").write_text(content, newline="")
    rows, summary = certified(model, tmp_path / "m.csv", tmp_path / "r.parquet")
    assert summary.rows == len(rows) == sum(summary.statuses["l2"].values())
    assert rows["id"][:4].tolist() == [f"{i:03d}" for i in range(4)] or summary.failed
    sure = rows["status_l2"].isin(["certified", "unbounded"])
    assert ((rows["radius_l2"] > 0) == sure).all()


def test_prices_that_a_command_sets_aside_are_said(model: Path) -> None:
    detector = fc.load(model)
    plain = planned(detector, None, None, None, None, described=True)
    assert [type(threat) for threat in plain.threats] == [fc.Edits]
    assert plain.sentence != PRICES_ASIDE
    for domain, cost in ((fc.Box(0, 9), None), (None, "std")):
        for described, said in ((True, PRICES_ASIDE), (False, "")):
            found = planned(detector, None, domain, None, cost, described)
            assert [type(threat) for threat in found.threats] == [fc.Lp]
            assert found.sentence == said
    # Who names the threat knows what it is.
    assert planned(detector, [fc.Lp(2)], fc.Box(0, 9), None, None, True).sentence == ""
