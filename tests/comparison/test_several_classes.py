"""Comparisons in which each class is to stay what it is: rows, numbers, resuming, report, errors."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_iris
from torch import Tensor

from featureconvex.baselines.method import Options, Radii, Setting
from featureconvex.baselines.multi_class.method import ClassMethod, ClassOptions
from featureconvex.baselines.multi_class.registry import CLASS_METHODS
from featureconvex.certificates import Guarantee
from featureconvex.cli import main
from featureconvex.comparison import CompareSettings, MethodFailedWarning, compare
from featureconvex.comparison.folder import read_comparison
from featureconvex.comparison.metrics import _reached
from featureconvex.comparison.report.words import counted_words, points_words
from featureconvex.data import find_class_task, find_task
from featureconvex.data.named_tasks.bundled import (
    BundledDigitsReader,
    LabelledImages,
    sklearn_digits,
)
from featureconvex.data.named_tasks.every_class import EveryClass
from featureconvex.errors import UserError
from featureconvex.progress import Ticker, silent
from featureconvex.results.strict_json import load_json
from featureconvex.training.points import Points

NAMES = tuple("0123456789")
COVERED = 25


def few_digits() -> LabelledImages:
    """The first 400 of the bundled digits."""
    images, labels = sklearn_digits()
    return images[:400], labels[:400]


DIGITS = replace(
    find_class_task("digits"),
    reader=BundledDigitsReader("scikit-learn", few_digits, EveryClass(NAMES)),
)


class Means(ClassMethod):
    """The nearest of the classes' means, certified in l2 by half the lead. Counts what it is asked."""

    name = "sll"
    title = "nearest mean"
    native_norms: ClassVar[tuple[float, ...]] = (2.0,)
    levels: ClassVar[dict[str, Guarantee]] = {
        "certified": Guarantee.deterministic,
        "some": Guarantee.deterministic,
        "never": Guarantee.empirical,
    }
    points_per_step = 20
    passes = "1 distance for each class"
    literature = "none"
    calls: ClassVar[list[str]] = []
    dies_at: ClassVar[int | None] = None
    centres: Tensor

    def __init__(self, options: ClassOptions, setting: Setting) -> None:
        super().__init__(options, setting)
        size = (options.classes, options.dimension)
        self.register_buffer("centres", torch.zeros(size, dtype=torch.float64))

    @classmethod
    def settings(cls, options: Options) -> list[Setting]:
        return [{"factor": 1.0}, {"factor": 0.5}]

    def fit(
        self,
        fitting: Points,
        validation: Points,
        *,
        folder: Path | None = None,
        tick: Ticker = silent,
    ) -> dict[str, Any]:
        self.calls.append("fit")
        x = fitting.x.flatten(1).double()
        for k in range(self.options.classes):
            self.centres[k] = x[fitting.y == k].mean(0)
        return {"epochs": 0, "train_accuracy": 0.5}

    def distances(self, x: Tensor) -> Tensor:
        return torch.cdist(x.flatten(1).double(), self.centres)

    def predict(self, x: Tensor) -> NDArray[np.int64]:
        return np.asarray(self.distances(x).argmin(1).numpy())

    def covers(self, level: str) -> int | None:
        return COVERED if level == "some" else None

    def certify(self, x: Tensor, level: str) -> Radii:
        if level == "never":
            raise UserError("this level never works")
        self.calls.append(level)
        if self.dies_at is not None and self.calls.count("certified") > self.dies_at:
            raise KeyboardInterrupt
        first, second = self.distances(x).topk(2, largest=False).values.unbind(1)
        own = (second - first).numpy() / 2 * self.setting["factor"]
        return {2.0: own * (1.5 if level == "some" else 1.0)}


class Broken(Means):
    """Cannot be fitted."""

    name = "cayley"
    title = "broken"

    def fit(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        raise ZeroDivisionError("no luck")


class Constant(Means):
    """Knows one class."""

    name = "linear"
    title = "constant"

    def predict(self, x: Tensor) -> NDArray[np.int64]:
        return np.full(len(x), 3)


@pytest.fixture(autouse=True)
def _methods(monkeypatch: pytest.MonkeyPatch, undrawn: None) -> None:
    del undrawn
    for kind in (Means, Broken, Constant):
        monkeypatch.setitem(CLASS_METHODS, kind.name, kind)
    Means.calls.clear()
    Means.dies_at = None


def run(out: Path, methods: str = "sll", **settings: Any) -> Any:
    compare(DIGITS, out, CompareSettings(methods, **{"limit": 60, **settings}), progress=False)
    return json.loads((out / "comparison.json").read_text())


def test_the_numbers_are_those_of_the_rows(tmp_path: Path) -> None:
    found = run(tmp_path)
    assert (found["multi_class"], found["classes"], found["n_test"]) == ("own", list(NAMES), 60)
    assert "n_sensitive" not in found
    rows = pd.read_parquet(tmp_path / "rows.parquet")
    own = rows[rows["setting"] == "factor 1.0"]
    assert len(own) == 60
    right = (own["label"] == own["predicted"]).to_numpy()
    radii = own["radius_l2_certified"].to_numpy()
    # 0 where the class is wrong, and only there.
    assert ((radii > 0) == right).all()
    setting, _ = found["methods"]["sll"]["settings"]
    assert setting["clean_accuracy"] == right.mean() > 0.7
    level = setting["levels"]["certified"]
    assert level["median_radius"]["l2"] == np.median(radii[right])
    assert level["average_certified_radius"]["l2"] == pytest.approx(radii.mean())
    assert level["median_radius"]["linf"] == pytest.approx(np.median(radii[right]) / 8)
    for radius, count in list(zip(found["grids"]["l2"], level["certified"]["l2"], strict=True))[
        1::20
    ]:
        assert count == (radii >= radius).sum()
    assert level["certified"]["l2"][0] == right.sum()
    for name in NAMES:
        one = own["label"] == name
        assert setting["accuracy_by_class"][name] == right[one].mean()
        assert level["median_by_class"]["l2"][name] == np.median(radii[one & right])
    assert setting["unavailable"] == {"never": "this level never works"}


def test_a_level_may_cover_the_first_points_only(tmp_path: Path) -> None:
    found = run(tmp_path)
    rows = pd.read_parquet(tmp_path / "rows.parquet")
    own = rows[rows["setting"] == "factor 1.0"]
    some = own["radius_l2_some"].to_numpy()
    assert np.isnan(some).tolist() == [False] * COVERED + [True] * (60 - COVERED)
    level = found["methods"]["sll"]["settings"][0]["levels"]["some"]
    assert level["n_points"] == COVERED
    assert level["gain"]["l2"] == pytest.approx(0.5)
    assert level["average_certified_radius"]["l2"] == pytest.approx(some[:COVERED].mean())
    assert "median_by_class" not in level
    curve = read_comparison(tmp_path).derive()["methods"]["sll"]["settings"][0]["levels"]["some"]
    accuracy = curve["certified_accuracy"]["l2"]["accuracy"]
    assert accuracy[0] == (some[:COVERED] > 0).mean()
    page = (tmp_path / "report.html").read_text()
    assert f"some (first {COVERED} test points)" in page
    assert "+50.0 %" in page
    assert (
        "names"
        not in load_json(tmp_path / "methods" / "sll" / "factor-1.0" / "record.json")["fingerprint"]
    )
    # A folder of an earlier version says it by its rows alone.
    path = tmp_path / "comparison.json"
    tables = json.loads(path.read_text())
    for setting in tables["methods"]["sll"]["settings"]:
        assert setting.pop("covered") == {"some": COVERED}
    path.write_text(json.dumps(tables))
    again = read_comparison(tmp_path).derive()["methods"]["sll"]["settings"][0]["levels"]["some"]
    assert again["n_points"] == COVERED
    assert again["average_certified_radius"] == level["average_certified_radius"]


def test_a_killed_comparison_goes_on_and_gives_the_same(tmp_path: Path) -> None:
    run(tmp_path / "whole")
    Means.calls.clear()
    Means.dies_at = 2
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed")
    Means.calls.clear()
    Means.dies_at = None
    run(tmp_path / "killed")
    # The first fit and two of its three steps were kept.
    assert [call for call in Means.calls if call != "some"] == ["certified", "fit"] + [
        "certified"
    ] * 3
    whole, killed = (
        pd.read_parquet(tmp_path / name / "rows.parquet") for name in ("whole", "killed")
    )
    timed = [name for name in whole if str(name).startswith("seconds")]
    pd.testing.assert_frame_equal(whole.drop(columns=timed), killed.drop(columns=timed))
    Means.calls.clear()
    run(tmp_path / "killed")
    assert not Means.calls


def test_the_report_is_rebuilt_from_the_two_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path)
    numbers = (tmp_path / "comparison.json").read_bytes()
    page = (tmp_path / "report.html").read_text()
    (tmp_path / "report.html").unlink()
    main_ends(["report", str(tmp_path)])
    assert "report.html" in capsys.readouterr().out
    assert (tmp_path / "comparison.json").read_bytes() == numbers
    assert (tmp_path / "report.html").read_text() == page
    for words in (
        "10 classes, each to stay what it is",
        "Class by class",
        "class recognised least",
    ):
        assert words in page
    assert "sensitive" not in page[page.index("<body") : page.index('id="report-data"')]
    tables = read_comparison(tmp_path).derive()
    assert (points_words(tables), counted_words(tables)) == (
        "test points",
        "recognised and certified",
    )


def test_one_failure_loses_nothing_else_and_one_class_is_no_classifier(tmp_path: Path) -> None:
    with pytest.warns(MethodFailedWarning) as warned:
        found = run(tmp_path, "cayley,sll,linear")["methods"]
    assert any("ZeroDivisionError" in str(one.message) for one in warned)
    assert found["cayley"]["reason"] == "ZeroDivisionError: no luck"
    assert found["linear"]["reason"] == "no classifier, as it takes every test point for '3'"
    assert len(found["sll"]["settings"]) == 2
    assert list(found) == ["cayley", "sll", "linear"]


def test_who_recognises_nothing_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = Means.predict
    monkeypatch.setattr(Means, "predict", lambda self, x: (right(self, x) + 5) % 10)
    with pytest.raises(UserError, match="no method ran"), pytest.warns(MethodFailedWarning):
        run(tmp_path, limit=6)
    reason = json.loads((tmp_path / "comparison.json").read_text())["methods"]["sll"]["reason"]
    assert reason == "no classifier, as it recognises no test point"


def test_a_level_whose_points_are_all_wrong_has_no_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = Means.predict

    def covers(self: Means, level: str) -> int | None:
        del self
        return 3 if level == "some" else None

    def predict(self: Means, x: Tensor) -> NDArray[np.int64]:
        found = right(self, x)
        found[:3] = (found[:3] + 5) % 10
        return found

    monkeypatch.setattr(Means, "covers", covers)
    monkeypatch.setattr(Means, "predict", predict)
    levels = run(tmp_path)["methods"]["sll"]["settings"][0]["levels"]
    assert list(levels) == ["certified"]


def test_methods_of_earlier_calls_stay_and_another_comparison_is_refused(tmp_path: Path) -> None:
    before = run(tmp_path)["methods"]["sll"]
    with pytest.warns(MethodFailedWarning):
        found = run(tmp_path, "cayley")["methods"]
    assert found["sll"] == before
    with pytest.raises(UserError, match=r"test points \(--limit\) 60 there, 40 now"):
        run(tmp_path, limit=40)
    with pytest.raises(UserError, match="of digits, now digits-3-8"):
        compare(find_task("digits-3-8"), tmp_path, CompareSettings("linear", limit=60))


def test_records_with_other_names_of_classes_are_refused(tmp_path: Path) -> None:
    run(tmp_path)
    (tmp_path / "comparison.json").unlink()
    renamed = BundledDigitsReader("scikit-learn", few_digits, EveryClass(tuple("abcdefghij")))
    with pytest.raises(UserError, match="another class_names"):
        compare(
            replace(DIGITS, reader=renamed),
            tmp_path,
            CompareSettings("sll", limit=60),
            progress=False,
        )


def main_ends(arguments: list[str], status: int = 0) -> None:
    with pytest.raises(SystemExit) as done:
        main(arguments)
    assert done.value.code == status


@pytest.mark.filterwarnings("default::featureconvex.comparison.MethodFailedWarning")
def test_a_table_of_three_classes_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    iris = load_iris(as_frame=True).frame
    iris["species"] = load_iris().target_names[iris.pop("target")]
    table, out = tmp_path / "iris.csv", tmp_path / "out"
    iris.to_csv(table, index=False)
    asked = ["compare", str(table), "--label", "species", "--multi-class", "own", "--epochs", "20"]
    asked += ["--methods", "sll,smoothing-gaussian", "--settings", "sigma 0.25", "--samples", "200"]
    main_ends([*asked, "--out", str(out), "--quiet", "--json"])
    shown = capsys.readouterr()
    assert "left alone: sll" in shown.err
    found = json.loads(shown.out)
    assert found["classes"] == ["setosa", "versicolor", "virginica"]
    assert found["unit"] == "training standard deviations"
    (setting,) = found["methods"]["smoothing-gaussian"]["settings"]
    assert setting["setting"] == {"sigma": 0.25}
    assert set(setting["accuracy_by_class"]) == set(found["classes"])
    assert math.isfinite(setting["levels"]["certified"]["average_certified_radius"]["l2"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("digits", "--sensitive", "3"), "--sensitive 3 does not go with --multi-class own"),
        (("t.csv", "--multi-class", "own", "--sensitive", "a"), "each class is protected"),
        (("t.csv", "--multi-class", "both"), "unknown multi-class 'both'"),
        (("t.csv", "--multi-class", "own"), "name the label column with --label"),
        (("digits-3-8", "--multi-class", "own"), "has one sensitive class, '3'"),
        (("digits", "--methods", "interval"), "interval: for one sensitive class only"),
        (("digits", "--methods", "sll", "--limit", "0"), "--limit must be a whole number >= 1"),
    ],
    ids=" ".join,
)
def test_what_does_not_go_with_own_classes_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("x,y\n" + "1,a\n2,b\n3,c\n" * 5)
    main_ends(["compare", *arguments, "--out", "out"], 2)
    assert words in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()


def test_lost_methods_are_named(tmp_path: Path) -> None:
    (tmp_path / "methods" / "cayley").mkdir(parents=True)
    with pytest.warns(
        MethodFailedWarning, match=r"has fits of cayley, too.* name them in --methods"
    ):
        run(tmp_path)


def test_few_certified_points_have_a_curve_of_their_own() -> None:
    few = np.zeros(1000)
    few[:20] = np.linspace(0.5, 1.0, 20)
    assert 0.9 < _reached(few) <= 1.0
    many = np.linspace(0.0, 1.0, 1000)
    assert _reached(many) == np.quantile(many, 0.95)
    assert _reached(np.zeros(5)) == 0.0
