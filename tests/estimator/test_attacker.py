"""The attacker of a schema: never above the cheapest evasion of small tables; and a run that carries it."""

import copy
import itertools
import math
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.test_schema import messy
from tests.undrawn import undrawn_reports

import featureconvex as fc
from featureconvex.attacker import Attacker, question
from featureconvex.cli import main
from featureconvex.data.inspection import inspect_table
from featureconvex.data.schema import ColumnSchema, Schema
from featureconvex.data.tables.columns import Column
from featureconvex.data.tables.encoding import encode
from featureconvex.data.tables.restore import restored
from featureconvex.detector import Detector
from featureconvex.errors import UserError
from featureconvex.features import Identity
from featureconvex.nn import ConvexMLP

COLUMNS = (
    Column("number", "number", fill=1.0),
    Column("whole", "number"),
    Column("word", "category", ("a", "b", "")),
    Column("flag", "boolean"),
)
NUMBERS = [(float(v), 0.0) for v in range(3)] + [(1.0, 1.0)]
EVERY = torch.tensor(
    [
        (*number, whole, *np.eye(3)[word], flag)
        for number, whole, word, flag in itertools.product(NUMBERS, range(3), range(3), range(2))
    ],
    dtype=torch.float64,
)


def a_schema(seed: int) -> Schema:
    rng = np.random.default_rng(seed)
    ways = ["free", "fixed", "increase", "decrease"]
    said = [
        ColumnSchema("number", attacker=str(rng.choice(ways)), cost="std", missing="median"),
        ColumnSchema(
            "whole", type="integer", attacker=str(rng.choice(ways)), cost=0.5, low=0, high=2
        ),
        ColumnSchema(
            "word",
            type="category",
            cost=float(rng.choice([0.5, 2])),
            missing="level",
            attacker=str(rng.choice(ways[:2])),
        ),
        ColumnSchema("flag", type="boolean", cost=1.5, attacker=str(rng.choice(ways[:2]))),
    ]
    return Schema(tuple(said))


def cheapest(model: fc.FeatureConvexModel, schema: Schema, cost: float) -> np.ndarray:
    """By the words of the schema, without the code of threats and domains: (n,), inf where none."""
    said = {column.name: column for column in schema.columns}
    safe = (model(EVERY) > 0).detach().numpy()
    found = []
    for row in EVERY.numpy():
        least = math.inf
        for other in EVERY.numpy()[~safe]:
            if other[1] != row[1] or (row[1] == 1 and other[0] != row[0]):
                continue  # nothing is blanked or filled
            price = 0.0
            for place, name, unit in ((0, "number", cost), (2, "whole", 0.5)):
                step = other[place] - row[place]
                way = said[name].attacker
                wrong = {"fixed": step != 0, "increase": step < 0, "decrease": step > 0}
                price += math.inf if wrong.get(way, False) else unit * abs(step)
            if (other[3:6] != row[3:6]).any():
                gone = row[5] == 1 or other[5] == 1 or said["word"].attacker == "fixed"
                price += math.inf if gone else float(said["word"].cost)
            if other[6] != row[6]:
                price += math.inf if said["flag"].attacker == "fixed" else 1.5
            least = min(least, price)
        found.append(least)
    return np.array(found)


def check(seed: int) -> None:
    torch.manual_seed(seed)
    model = fc.FeatureConvexModel(Identity(), ConvexMLP(7, (6, 4))).double().eval()
    with torch.no_grad():
        model.tau = -model.logits(EVERY).sort().values[30:32].mean()
    schema = a_schema(seed)
    attacker = Attacker(schema, COLUMNS, np.array([0.75, 1, 1, 1, 1, 1, 1]))
    truth = cheapest(model, schema, 0.75)
    for level in ("domain", "sound"):
        found = fc.certify(model, EVERY, attacker.threat, attacker.domain, level)
        assert set(found.status) <= {"certified", "not_sensitive", "unbounded", "boundary"}
        flagged = found.margin > 0
        assert (found.radius <= truth * (1 + 1e-12))[flagged].all()
    result = fc.attack(model, EVERY, attacker.threat, attacker.domain, steps=10)
    points = {tuple(row) for row in result.adversarial[result.found][:, 1:].tolist()}
    assert points <= {tuple(row) for row in EVERY[:, 1:].tolist()}


@settings(max_examples=12)
@given(st.integers(0, 10**6))
def test_never_above_the_cheapest_evasion_in_words(seed: int) -> None:
    check(seed)


def check_many() -> None:
    for seed in range(40):
        check(seed)


def test_prices_above_the_schema_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = vars(Attacker)["threat"].__get__

    def dearer(self: Attacker) -> fc.Edits:
        threat: fc.Edits = honest(self)
        return fc.Edits(2 * threat.numeric_cost(7), threat.blocks.coordinates, 4.0)

    monkeypatch.setattr(Attacker, "threat", property(dearer))
    with pytest.raises(AssertionError):
        check_many()


def test_the_attacker_in_one_sentence() -> None:
    schema = Schema(
        (
            ColumnSchema("links", type="integer", attacker="increase", cost=2.0, unit="link"),
            ColumnSchema("age", attacker="fixed", missing="median"),
            ColumnSchema("lang", type="category", cost=3.0),
        ),
        unit="EUR",
    )
    columns = (
        Column("links", "number"),
        Column("age", "number", fill=1.0),
        Column("lang", "category", ("a", "b")),
    )
    attacker = Attacker(schema, columns, np.ones(5))
    assert attacker.sentence == (
        "The attacker may move links up only (2 per link) and change lang (3 per change); age cannot "
        "change; what is missing stays missing, and nothing is blanked; all prices together, in EUR, are "
        "the budget."
    )
    assert attacker.moves_sentence == (
        "The attacker may move links up only and change lang; age cannot change; what is missing stays "
        "missing, and nothing is blanked."
    )
    assert attacker.columns_changed.measure(torch.tensor([[1.0, 1, 1, -1, 1]])).tolist() == [3]
    assert attacker.unit_costs.tolist() == [2, 1, 1, 3, 3]
    with pytest.raises(fc.UserError, match="does not name the column 'x'"):
        Attacker(schema, (Column("x", "number"),), np.ones(1))


@pytest.fixture(scope="module")
def a_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("schema")
    path = messy(folder / "messy.csv")
    schema = folder / "s.toml"
    text = inspect_table(path, "Art", "Betrug")[1]
    schema.write_text(text.replace('attacker = "free"', 'attacker = "decrease"', 1), "utf-8")
    quick = ("--epochs", "2", "--temperature", "0.3", "--out", str(folder / "run"))
    with undrawn_reports(), pytest.raises(SystemExit, match="0"):
        main(["run", str(path), "--schema", str(schema), *quick])
    return folder


def test_a_category_without_edits_costs_infinity() -> None:
    """Of one word and the missing cell: nothing is blanked and nothing filled."""
    said = Schema((ColumnSchema("lang", type="category", cost=3.0, missing="level"),))
    attacker = Attacker(said, (Column("lang", "category", ("en", "")),), np.ones(2))
    assert attacker.unit_costs.tolist() == [math.inf, math.inf]


def test_a_domain_of_ones_own_fills_no_gaps(a_run: Path) -> None:
    detector = fc.load(a_run / "run")
    assert isinstance(detector, Detector)
    own = question(detector.attacker, None, fc.Box(0, 9)).domain
    assert repr(own) == repr(detector.attacker.without_filling(fc.Box(0, 9)))  # type: ignore[union-attr]
    assert "gaps" in repr(own)


def test_the_schema_travels_with_the_model(a_run: Path) -> None:
    found = fc.load(a_run / "run")
    assert isinstance(found, Detector)
    assert found.schema is not None
    assert found.schema.label == "Art"
    assert found.cost_ is not None
    frame = pd.read_csv(a_run / "messy.csv", sep=";", decimal=",", encoding="cp1252")
    names = found.predict(frame)
    assert set(names) <= {"Betrug", "ok"}
    assert (found.predict_proba(frame)[:, 1] > 0.5).tolist() == (names == "Betrug").tolist()
    certificate: Any = found.certify(frame)
    assert isinstance(certificate.threat, fc.Edits)
    result = found.attack(frame, steps=5)
    both = result.found & (certificate.radius > 0)
    assert (result.distance[both] >= certificate.radius[both]).all()
    assert fc.certify(found, frame).threat.name == "l2"


def test_certify_uses_the_schema(a_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = a_run / "rows.csv"
    arguments = ["certify", str(a_run / "run"), str(a_run / "messy.csv"), "--out", str(out)]
    with pytest.raises(SystemExit) as stop:
        main([*arguments, "--keep", "Kundennr"])
    assert not stop.value.code
    assert "The attacker may move Betrag down only" in capsys.readouterr().err
    rows = pd.read_csv(out)
    frame = pd.read_csv(a_run / "messy.csv", sep=";", decimal=",", encoding="cp1252")
    found = fc.load(a_run / "run")
    expected: Any = found.certify(frame)
    np.testing.assert_allclose(rows["radius_edits"], expected.radius)
    for more, column in (
        (["--norm", "1", "--cost", "schema"], "radius_l1"),
        (["--norm", "2"], "radius_l2"),
    ):
        with pytest.raises(SystemExit):
            main([*arguments, *more])
        assert column in pd.read_csv(out)


def certify_said(a_run: Path, *more: str) -> int:
    arguments = ["certify", str(a_run / "run"), str(a_run / "messy.csv"), "--out"]
    with pytest.raises(SystemExit) as stop:
        main([*arguments, str(a_run / "said.csv"), *more])
    return int(stop.value.code or 0)


def test_one_rule_fills_in_what_was_not_said(a_run: Path) -> None:
    """The same in Python and on the command line."""
    found: Any = fc.load(a_run / "run")
    attacker = found.attacker
    frame = pd.read_csv(a_run / "messy.csv", sep=";", decimal=",", encoding="cp1252")
    box = fc.Box(-math.inf, math.inf, immutable=["Betrag"])
    assert question(attacker).level == "domain"
    assert question(attacker).sentence == attacker.sentence
    assert question(attacker, [fc.Lp(1)]).domain is None
    assert question(attacker, [fc.Lp(1)]).level == "closed-form"
    assert question(attacker, [fc.Lp(1)], fc.Box(0, 1)).level == "domain"
    unpriced = question(attacker, [fc.L0()]).sentence
    assert unpriced == attacker.moves_sentence
    assert "price" not in unpriced
    assert question(attacker, [fc.L0(), attacker.threat]).sentence == attacker.sentence
    own = question(attacker, [fc.L0()], fc.Box(0, 1)).sentence
    assert own.startswith("Where the attacker may move is what was asked for")
    assert repr(question(attacker, [fc.L0()]).domain) == repr(attacker.domain)
    # Of other places than the schema's its sentence would be untrue.
    assert "of a schema do not count" in question(attacker, None, fc.Box(0, 1)).sentence
    for more, certificate in (
        ((), found.certify(frame)),
        (("--threat", "l0"), found.certify(frame, fc.L0())),
        (("--norm", "1", "--immutable", "Betrag"), found.certify(frame, fc.Lp(1), box)),
        (("--threat", "edits", "--immutable", "Betrag"), found.certify(frame, domain=box)),
    ):
        assert certify_said(a_run, *more) == 0
        rows = pd.read_csv(a_run / "said.csv")
        name = certificate.threat.name
        np.testing.assert_allclose(rows[f"radius_{name}"], certificate.radius, rtol=1e-9)
        assert rows[f"status_{name}"].tolist() == [str(status) for status in certificate.status]


def test_what_a_level_cannot_do_is_said_before_anything_is_read(
    a_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert certify_said(a_run, "--threat", "edits", "--level", "closed-form") == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert "certifies norms only, not edits" in told[0]
    assert certify_said(a_run, "--threat", "apend") == 2
    assert "or edits, and of files append" in capsys.readouterr().err


def test_the_summary_tells_the_median_in_the_schema_s_unit(
    a_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert certify_said(a_run) == 0
    found = re.search(r"half of them for ([0-9.]+) (.+) or more", capsys.readouterr().out)
    assert found is not None
    radius = pd.read_csv(a_run / "said.csv")["radius_edits"]
    median = np.quantile(radius[radius > 0], 0.5, method="lower")
    assert 0.98 * median <= float(found[1]) <= median * 1.005
    detector: Any = fc.load(a_run / "run")
    assert found[2] == detector.schema.unit
    # A norm is in the columns' own units, or in those of the prices; a count is a whole number.
    for more, words in (
        (("--norm", "2"), r"half of them for [0-9.]+ or more, in the columns' own units"),
        (("--norm", "2", "--cost", "std"), r"[0-9.]+ or more, in training standard deviations"),
        (("--norm", "2", "--cost", "schema"), f"[0-9.]+ or more, in {detector.schema.unit}$"),
        (("--threat", "l0"), r"l0: 0 of|half of them for (1 coordinate|\d+ coordinates) or more"),
    ):
        assert certify_said(a_run, *more) == 0
        assert re.search(words, capsys.readouterr().out, flags=re.MULTILINE), more
    assert certify_said(a_run, "--cost", "gold", "--threat", "edits") == 2
    assert "use one of std, schema" in capsys.readouterr().err


def test_what_contradicts_the_schema_is_refused(
    a_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    schema = ["--schema", str(a_run / "s.toml"), "--out", str(a_run / "other")]
    for arguments, message in (
        (["run", str(a_run / "messy.csv"), "--label", "Land"], "contradicts the schema"),
        (["run", "digits-3-8"], "for a table of your own"),
    ):
        with pytest.raises(SystemExit) as stop:
            main([*arguments, *schema])
        assert stop.value.code == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda found: pickle.loads(pickle.dumps(found))])
def test_a_copy_takes_frames_as_well(copied: Any, a_run: Path) -> None:
    found: Any = fc.load(a_run / "run")
    frame = pd.read_csv(a_run / "messy.csv", sep=";", decimal=",", encoding="cp1252")
    again = copied(found)
    np.testing.assert_array_equal(again.predict(frame), found.predict(frame))
    np.testing.assert_array_equal(again.certify(frame).radius, found.certify(frame).radius)


def test_two_columns_of_one_name_are_refused(a_run: Path) -> None:
    found: Any = fc.load(a_run / "run")
    frame = pd.read_csv(a_run / "messy.csv", sep=";", decimal=",", encoding="cp1252")
    with pytest.raises(UserError, match="x has two columns named 'Betrag'"):
        found.predict(pd.concat([frame, frame[["Betrag"]]], axis=1))
    numbers = pd.DataFrame(np.zeros((4, 3)), columns=["a", "b", "a"])
    with pytest.raises(UserError, match="X has two columns named 'a'"):
        fc.FeatureConvexClassifier().fit(numbers, [0, 1, 0, 1])


def test_evasions_are_rows_of_the_user_s_table(a_run: Path) -> None:
    """Which leave the class when they are read again; what did not change is the cell it was."""
    found: Any = fc.load(a_run / "run")
    assert isinstance(found, Detector)
    frame = pd.read_csv(a_run / "messy.csv", sep=";", decimal=",", encoding="cp1252")
    flagged = frame[found.predict(frame) == "Betrug"].head(40)
    result = found.attack(flagged)
    assert result.found.any()
    table = result.table
    assert table is not None
    assert list(table.columns) == list(frame.columns)
    assert table.index.equals(flagged.index)
    evading = table[result.found]
    assert (found.predict(evading) == "ok").all()
    again = found.meaning.rows(evading).astype(np.float32)
    np.testing.assert_array_equal(again, result.adversarial[result.found])
    assert pd.api.types.is_integer_dtype(evading["Anzahl"].dtype)
    assert set(evading["Land"].dropna()) <= {"DE", "FR", "ÖS"}
    assert evading["neu"].dtype == frame["neu"].dtype == bool
    assert (evading["Land"].isna() == flagged["Land"][result.found].isna()).all()
    for name in ("Kundennr", "Datum", "Art"):
        pd.testing.assert_series_equal(table[name], flagged[name])
    changed = (evading != flagged[result.found]) & ~evading.isna()
    assert changed.any(axis=1).all()
    assert changed["Anzahl"].any()
    assert (table[~result.found] == flagged[~result.found]).fillna(True).all().all()
    # Through a file and back.
    evading.to_csv(a_run / "evading.csv", sep=";", decimal=",", encoding="cp1252", index=False)
    read = pd.read_csv(a_run / "evading.csv", sep=";", decimal=",", encoding="cp1252")
    assert (found.predict(read) == "ok").all()
    assert found.attack(found.meaning.rows(flagged)).table is None


def test_evasions_of_a_classifier_are_rows_of_its_frame() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 2)), columns=["a", "b"])
    clf = fc.FeatureConvexClassifier(epochs=2, temperature=0.5, random_state=0)
    clf.fit(frame, frame["a"] > 0)
    flagged = frame[clf.predict(frame)][["b", "a"]].assign()
    result = clf.attack(flagged[["a", "b"]])
    assert result.table is not None
    assert result.found.all()
    assert not clf.predict(result.table).any()
    assert result.table.index.equals(flagged.index)


def test_every_kind_of_cell_is_written_as_it_was() -> None:
    frame = pd.DataFrame(
        {
            "when": ["2024-01-31", "31.01.2024"],
            "day": pd.to_datetime(["2024-01-31", "2024-02-01"]),
            "flag": ["TRUE", "false"],
            "shop": pd.Categorical(["a", "a"]),
            "gap": [1.5, np.nan],
            "n": [3, 4],
            "id": ["x", "y"],
        }
    )
    columns = [
        *(Column("when", "date"), Column("day", "date"), Column("flag", "boolean")),
        Column("shop", "category", ("a", "b", "other", ""), "other"),
        *(Column("gap", "number", fill=2.0), Column("n", "number", whole=True)),
    ]
    before = encode(frame, columns, "t").x
    after = before.copy()
    after[0, [0, 1, 2]] = [before[0, 0] + 1, before[0, 1] + 0.5, 0]
    after[0, 3:7] = [0, 1, 0, 0]
    after[1, 3:7] = [0, 0, 0, 1]
    after[:, [7, 8]] = [[2.0, 1.0], [0.25, 0.0]]
    after[1, 9] = 9
    found = restored(frame, columns, before, after)
    assert found["when"].tolist() == ["2024-02-01", "31.01.2024"]
    assert found["day"].tolist() == [pd.Timestamp("2024-01-31 12:00"), pd.Timestamp("2024-02-01")]
    assert found["flag"].tolist() == ["false", "false"]
    assert found["shop"].isna().tolist() == [False, True]
    assert found["shop"][0] == "b"
    assert np.isnan(found["gap"][0])
    assert found["gap"][1] == 0.25
    assert found["n"].tolist() == [3, 9]
    assert found["id"].tolist() == ["x", "y"]
    np.testing.assert_array_equal(encode(found, columns, "t").x, after)


def test_the_score_is_the_accuracy(a_run: Path) -> None:
    found: Any = fc.load(a_run / "run")
    frame = pd.read_csv(a_run / "messy.csv", sep=";", decimal=",", encoding="cp1252")
    right = found.predict(frame) == frame["Art"].to_numpy()
    assert found.score(frame, frame["Art"]) == right.mean()
    weight = np.arange(len(frame)) % 3
    assert found.score(frame, frame["Art"], weight) == pytest.approx(right @ weight / weight.sum())
    for y, counted, message in (
        (frame["Art"].str.upper(), None, "label 'OK'; the classes are 'ok' and 'Betrug'"),
        (frame["Art"][:-1], None, "399 labels for 400 rows"),
        (frame["Art"], -weight, "one number >= 0"),
    ):
        with pytest.raises(UserError, match=message):
            found.score(frame, y, counted)
    # Of several classes some are the sensitive one together.
    several = copy.deepcopy(found)
    several.classes_ = np.array(["not a or b", "a or b"])
    flagged = found.predict(frame) == "Betrug"
    assert several.score(frame, np.where(flagged, "a", "c")) == 1
    assert several.score(frame, np.where(flagged, "c", "b")) == 0
    # A name with the word in it is a name.
    several.classes_ = np.array(["not live or die or b", "live or die or b"])
    assert several.score(frame, np.where(flagged, "live or die", "c")) == 1
