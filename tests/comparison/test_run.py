"""The harness: same points for all, resumable row by row, one failure loses nothing else."""

import importlib
import io
import json
import math
import re
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from torch import Tensor

from featureconvex.baselines import Method, Options, Radii, Setting, feature_convex, register_method
from featureconvex.baselines.description import setting_words
from featureconvex.baselines.nonexpansive.linear import Linear
from featureconvex.certificates import Guarantee
from featureconvex.cli import main
from featureconvex.comparison import CompareSettings, MethodFailedWarning, compare
from featureconvex.comparison.folder import read_comparison
from featureconvex.comparison.report.write import write_comparison_report
from featureconvex.data import find_task, to_tensor
from featureconvex.errors import UserError
from featureconvex.progress import Ticker, silent
from featureconvex.results.statistics.intervals import clopper_pearson
from featureconvex.training.points import Points


class Ink(Method):
    """Flags what has little ink; certifies by the mean, in linf. Counts what it is asked."""

    name = "ink"
    title = "ink"
    native_norms: ClassVar[tuple[float, ...]] = (math.inf,)
    levels: ClassVar[dict[str, Guarantee]] = {
        "certified": Guarantee.probabilistic,
        "never": Guarantee.empirical,
    }
    points_per_step = 20
    passes = "1 mean"
    literature = "none"
    calls: ClassVar[list[str]] = []
    dies_at: ClassVar[int | None] = None
    tau: Tensor

    def __init__(self, options: Options, setting: Setting) -> None:
        super().__init__(options, setting)
        self.register_buffer("tau", torch.zeros((), dtype=torch.float64))

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
        self.tau.fill_(float(fitting.x.mean()))
        return {"epochs": 0, "train_accuracy": 0.5}

    def margins(self, x: Tensor) -> NDArray[np.float64]:
        return np.asarray((self.tau - x.flatten(1).double().mean(dim=1)).numpy())

    def predict(self, x: Tensor) -> NDArray[np.bool_]:
        return self.margins(x) > 0

    def certify(self, x: Tensor, level: str) -> Radii:
        if level == "never":
            raise UserError("this level never works")
        self.calls.append("certify")
        if self.dies_at is not None and self.calls.count("certify") > self.dies_at:
            raise KeyboardInterrupt
        return {math.inf: self.margins(x).clip(0) * self.setting["factor"]}


class Broken(Ink):
    """Cannot be fitted."""

    name = "broken"

    def fit(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        raise ZeroDivisionError("no luck")


@pytest.fixture(autouse=True)
def _methods(own_methods: None, undrawn: None, few_pilots: None) -> None:
    del own_methods, undrawn, few_pilots
    Ink.calls.clear()
    Ink.dies_at = None
    register_method(Ink)
    register_method(Broken)


def run(out: Path, methods: str, limit: int = 72, epochs: int = 3) -> Any:
    settings = CompareSettings(methods, limit=limit, epochs=epochs)
    compare(find_task("digits-3-8"), out, settings, progress=False)
    return json.loads((out / "comparison.json").read_text())


def test_the_numbers_are_those_of_the_rows(tmp_path: Path) -> None:
    found = run(tmp_path, "ink,linear")
    rows = pd.read_parquet(tmp_path / "rows.parquet")
    ink = rows[(rows["method"] == "ink") & (rows["setting"] == "factor 1.0")]
    assert len(ink) == found["n_test"] == 72
    sensitive = ink[ink["label"] == 1]
    radii = sensitive["radius_linf_certified"].to_numpy()
    level = found["methods"]["ink"]["settings"][0]["levels"]["certified"]
    counts = zip(found["grids"]["linf"], level["certified"]["linf"], strict=True)
    for radius, count in list(counts)[1::20]:
        assert count == (radii >= radius).sum()
    assert level["median_radius"]["linf"] == np.median(radii[sensitive["predicted"] == 1])
    assert level["median_radius"]["l2"] == level["median_radius"]["linf"]
    assert level["converted"] == {"l1": True, "l2": True, "linf": False}
    assert found["methods"]["ink"]["best_setting"]["linf"] == {"factor": 1.0}
    agree = (ink["predicted"] == ink["label"]).mean()
    assert found["methods"]["ink"]["clean_accuracy"] == pytest.approx(agree)


def test_one_setting_of_many_is_run_alone(tmp_path: Path) -> None:
    settings = CompareSettings("ink", limit=40, only="factor 0.5")
    compare(find_task("digits-3-8"), tmp_path, settings, progress=False)
    found = json.loads((tmp_path / "comparison.json").read_text())["methods"]["ink"]
    assert [one["setting"] for one in found["settings"]] == [{"factor": 0.5}]
    before = (tmp_path / "comparison.json").read_bytes()
    settings = CompareSettings("ink,linear", limit=40, only="sigma")
    with pytest.raises(UserError, match=r"no method has .* 'sigma'; there are ink: factor"):
        compare(find_task("digits-3-8"), tmp_path, settings, progress=False)
    assert (tmp_path / "comparison.json").read_bytes() == before
    settings = CompareSettings("ink,linear", limit=40, only="FACTOR .5")
    with pytest.warns(MethodFailedWarning, match="left alone: linear"):
        compare(find_task("digits-3-8"), tmp_path, settings, progress=False)
    assert list(json.loads((tmp_path / "comparison.json").read_text())["methods"]) == ["ink"]
    with pytest.raises(UserError, match="names no setting"):
        CompareSettings("ink", only=" , ")


def test_settings_that_are_run_alone_join_those_that_are_there(tmp_path: Path) -> None:
    for only in ("factor 0.5", "factor 1.0", "factor 0.5"):
        settings = CompareSettings("ink", limit=40, only=only)
        compare(find_task("digits-3-8"), tmp_path, settings, progress=False)
    found = json.loads((tmp_path / "comparison.json").read_text())["methods"]["ink"]
    assert [one["setting"] for one in found["settings"]] == [{"factor": 1.0}, {"factor": 0.5}]
    rows = pd.read_parquet(tmp_path / "rows.parquet")
    assert set(rows["setting"]) == {"factor 1.0", "factor 0.5"}
    assert Ink.calls.count("fit") == 2


def test_what_another_command_adds_meanwhile_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, task = Ink.fit, find_task("digits-3-8")

    def fit(self: Ink, *args: Any, **kwargs: Any) -> dict[str, Any]:
        with pytest.warns(MethodFailedWarning, match="fits of ink, too"):
            compare(task, tmp_path, CompareSettings("linear", limit=40), progress=False)
        return plain(self, *args, **kwargs)

    monkeypatch.setattr(Ink, "fit", fit)
    compare(task, tmp_path, CompareSettings("ink", limit=40), progress=False)
    found = json.loads((tmp_path / "comparison.json").read_text())["methods"]
    assert set(found) == {"ink", "linear"}
    assert all("settings" in method for method in found.values())


def test_a_setting_that_another_command_adds_meanwhile_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, task = Ink.fit, find_task("digits-3-8")

    def fit(self: Ink, *args: Any, **kwargs: Any) -> dict[str, Any]:
        if self.setting["factor"] == 1.0:
            compare(
                task, tmp_path, CompareSettings("ink", limit=40, only="factor 0.5"), progress=False
            )
        return plain(self, *args, **kwargs)

    monkeypatch.setattr(Ink, "fit", fit)
    compare(task, tmp_path, CompareSettings("ink", limit=40, only="factor 1.0"), progress=False)
    found = json.loads((tmp_path / "comparison.json").read_text())["methods"]["ink"]
    assert [one["setting"] for one in found["settings"]] == [{"factor": 0.5}, {"factor": 1.0}]


def test_a_method_that_flags_nothing_it_is_asked_about_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the sensitive points, whose labels are 1, it flags none; of the others some."""
    test = find_task("digits-3-8").load().test
    others = {row.numpy().tobytes() for row in to_tensor(test.x[test.y == 0])}

    def predict(_: Ink, x: Tensor) -> NDArray[np.bool_]:
        return np.array([row.numpy().tobytes() in others for row in x])

    monkeypatch.setattr(Ink, "predict", predict)
    with (
        pytest.warns(
            MethodFailedWarning, match="flags no sensitive one of the first 40 test points"
        ),
        pytest.raises(UserError, match="no method ran"),
    ):
        compare(
            find_task("digits-3-8"),
            tmp_path,
            CompareSettings("ink", limit=40, only="factor 0.5"),
            progress=False,
        )


def test_two_commands_do_not_write_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("featureconvex.comparison.run")
    plain, locked = module.write_comparison, []

    def write(comparison: Any, folder: Path) -> None:
        with pytest.raises(Timeout), FileLock(folder / module.LOCK_FILE, timeout=0):
            pass
        locked.append(folder)
        plain(comparison, folder)

    monkeypatch.setattr(module, "write_comparison", write)
    run(tmp_path, "ink,linear")
    assert locked == [tmp_path, tmp_path]


@pytest.mark.parametrize("handled", [True, False])
def test_an_interruption_that_became_another_error_stops_the_comparison(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handled: bool
) -> None:
    """As a class does whose ``__set_name__`` is interrupted."""

    def fit(*args: Any, **kwargs: Any) -> dict[str, Any]:
        del args, kwargs
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as interruption:
            if handled:
                raise RuntimeError("set_name") from interruption
            raise ValueError("while cleaning up")  # noqa: B904  (its context has the interruption)

    monkeypatch.setattr(Ink, "fit", fit)
    with pytest.raises(KeyboardInterrupt):
        compare(find_task("digits-3-8"), tmp_path, CompareSettings("ink", limit=40), progress=False)
    assert not (tmp_path / "comparison.json").exists()


def test_costly_methods_certify_the_first_points_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, covered = find_task("digits-3-8"), 30
    settings = CompareSettings("ink,linear", limit=72, costly_limit=covered)
    compare(task, tmp_path / "cheap", settings, progress=False)
    monkeypatch.setattr(Ink, "costly", True)
    with pytest.raises(UserError, match=r"none of the first 1 test .* larger --costly-limit"):
        compare(
            find_task("digits-8-3"),
            tmp_path,
            CompareSettings("ink", costly_limit=1),
            progress=False,
        )
    compare(task, tmp_path, settings, progress=False)
    found = json.loads((tmp_path / "comparison.json").read_text())
    rows = pd.read_parquet(tmp_path / "rows.parquet")
    ink = rows[(rows["method"] == "ink") & (rows["setting"] == "factor 1.0")]
    sensitive, first = ink[ink["label"] == 1], ink[:covered][ink["label"][:covered] == 1]
    assert sensitive["radius_linf_certified"].notna().sum() == len(first) < len(sensitive)
    setting = found["methods"]["ink"]["settings"][0]
    assert setting["clean_accuracy"] == (ink["label"] == ink["predicted"]).mean()
    assert setting["covered"] == {"certified": covered, "never": covered}
    level = setting["levels"]["certified"]
    assert level["n_points"] == len(first)
    radii = first["radius_linf_certified"].to_numpy()
    assert level["average_certified_radius"]["linf"] == pytest.approx(radii.mean())
    assert level["certified"]["linf"][0] == (radii > 0).sum()
    read = read_comparison(tmp_path).derive()["methods"]["ink"]["settings"][0]["levels"][
        "certified"
    ]
    curve = read["certified_accuracy"]["linf"]
    assert curve["accuracy"][0] == (radii > 0).mean()
    assert curve["low"][0] == pytest.approx(clopper_pearson([(radii > 0).sum()], len(radii))[0][0])
    page = (tmp_path / "report.html").read_text()
    assert f"ink (first {len(first)} sensitive test points)" in page
    script = re.search(r'id="report-data"[^>]*>(.*?)</script>', page, re.DOTALL)
    assert script is not None
    fewer = json.loads(script[1])["readout"]["fewer"]
    assert list(fewer) == [str(len(first))]
    assert len(fewer[str(len(first))]["low"]) == len(first) + 1
    # The linear model certifies all of them, with or without.
    linear = rows[rows["method"] == "linear"]
    assert linear.loc[linear["label"] == 1, "radius_l2_certified"].notna().all()
    whole = json.loads((tmp_path / "cheap" / "comparison.json").read_text())["methods"]
    assert "n_points" not in whole["ink"]["settings"][0]["levels"]["certified"]
    assert whole["linear"]["settings"][0]["levels"].keys() == {"certified"}
    # What decides the rows of a costly method tells its fits apart.
    settings = CompareSettings("ink,linear", limit=72, costly_limit=40)
    with pytest.raises(UserError, match="holds results with another costly_limit"):
        compare(task, tmp_path, settings, progress=False)


def test_nothing_is_certified_where_the_radius_is_zero(tmp_path: Path) -> None:
    found = run(tmp_path, "ink")["methods"]["ink"]
    rows = pd.read_parquet(tmp_path / "rows.parquet")
    sensitive = rows[(rows["label"] == 1) & (rows["setting"] == "factor 1.0")]
    assert (sensitive["radius_linf_certified"] == 0).any()
    at_zero = found["certified_accuracy"]["linf"]["accuracy"][0]
    assert at_zero == pytest.approx((sensitive["radius_linf_certified"] > 0).mean(), abs=1e-6)


def test_a_level_that_refuses_is_named(tmp_path: Path) -> None:
    setting = run(tmp_path, "ink")["methods"]["ink"]["settings"][0]
    assert setting["unavailable"] == {"never": "this level never works"}
    assert list(setting["levels"]) == ["certified"]


def test_one_failure_loses_nothing_else(tmp_path: Path) -> None:
    with pytest.warns(MethodFailedWarning, match=r"broken factor .* is left out: ZeroDivision"):
        found = run(tmp_path, "broken,ink")["methods"]
    assert found["broken"]["reason"] == "ZeroDivisionError: no luck"
    assert "clean_accuracy" in found["ink"]
    assert "Traceback" in (tmp_path / "methods" / "broken" / "factor-1.0" / "error.txt").read_text()


def test_a_setting_that_fails_leaves_the_others_of_its_method(tmp_path: Path) -> None:
    before = run(tmp_path, "ink,linear")["methods"]["ink"]
    kept, lost = before["settings"]
    words = {key: setting_words(s["setting"]) for key, s in (("kept", kept), ("lost", lost))}
    folder = tmp_path / "methods" / "ink" / words["lost"].replace(" ", "-")
    record = (folder / "record.json").read_text()
    (folder / "record.json").write_text("garbage")
    with pytest.warns(MethodFailedWarning, match=rf"ink {words['lost']} is left out: .*fit anew"):
        found = run(tmp_path, "ink")["methods"]["ink"]
    assert [s["setting"] for s in found["settings"]] == [kept["setting"]]
    (failed,) = found["failed"]
    assert failed["setting"] == lost["setting"]
    page = (tmp_path / "report.html").read_text()
    assert f"ink, {words['lost']}</dt>" in page
    assert (folder / "error.txt").exists()
    write_comparison_report(tmp_path)
    assert json.loads((tmp_path / "comparison.json").read_text())["methods"]["ink"] == found
    (folder / "record.json").write_text(record)
    assert run(tmp_path, "ink")["methods"]["ink"] == before
    assert not (folder / "error.txt").exists()


def test_a_killed_comparison_goes_on_and_gives_the_same(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", "ink")
    Ink.calls.clear()
    Ink.dies_at = 3
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", "ink")
    assert Ink.calls == ["fit", *["certify"] * 4]
    Ink.calls.clear()
    Ink.dies_at = None
    resumed = run(tmp_path / "killed", "ink")
    # Of 4 steps for each of two settings 3 were kept, and the first fit.
    assert Ink.calls == ["certify", "fit", *["certify"] * 4]
    for a, b in zip(
        whole["methods"]["ink"]["settings"], resumed["methods"]["ink"]["settings"], strict=True
    ):
        left, right = (s["levels"]["certified"] for s in (a, b))
        assert left["certified"] == right["certified"]


def test_results_of_other_options_are_not_mixed(tmp_path: Path) -> None:
    run(tmp_path, "linear")
    with pytest.raises(UserError, match="72 there, 60 now") as refused:
        run(tmp_path, "linear", limit=60)
    # What follows from the limit is not listed beside it.
    assert "data" not in str(refused.value)


def test_other_data_of_the_same_size_are_not_mixed(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(120, 3)), columns=list("abc"))
    table["kind"] = np.where(table["a"] > 0, "spam", "ham")

    def again(sensitive: str, seed: int = 0) -> None:
        task = find_task(str(tmp_path / "mails.csv"), "kind", sensitive)
        settings = CompareSettings("linear", limit=20, epochs=2, seed=seed)
        compare(task, tmp_path / "out", settings, progress=False)

    table.to_csv(tmp_path / "mails.csv", index=False)
    again("spam")
    with pytest.raises(UserError, match="--sensitive spam there, ham now"):
        again("ham")
    table["kind"] = np.where(table["b"] > 0, "spam", "ham")
    table.to_csv(tmp_path / "mails.csv", index=False)
    with pytest.raises(UserError, match="of other data by the same name"):
        again("spam")
    # Without the comparison's own file, each method's record still knows.
    (tmp_path / "out" / "comparison.json").unlink()
    with pytest.raises(UserError, match=r"holds results with another .*data"):
        again("spam")


def test_a_folder_holds_one_comparison(tmp_path: Path) -> None:
    run(tmp_path, "linear")
    settings = CompareSettings("ink", limit=20, epochs=3)
    with pytest.raises(UserError, match="of digits-3-8, now breast-cancer"):
        compare(find_task("breast-cancer"), tmp_path, settings, progress=False)
    assert json.loads((tmp_path / "comparison.json").read_text())["task"] == "digits-3-8"


def test_methods_that_are_there_stay(tmp_path: Path) -> None:
    before = run(tmp_path, "linear")["methods"]["linear"]
    found = run(tmp_path, "ink")["methods"]
    assert list(found) == ["linear", "ink"]  # in the order of METHODS
    assert found["linear"]["median_radius"] == before["median_radius"]
    assert set(pd.read_parquet(tmp_path / "rows.parquet")["method"]) == {"linear", "ink"}


@pytest.mark.filterwarnings("default::featureconvex.comparison.MethodFailedWarning")
def test_nothing_that_ran_is_an_error_that_says_where_to_look(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["compare", "digits-3-8", "--out", str(tmp_path), "--methods", "broken"])
    said = capsys.readouterr().err
    assert "broken factor 1.0 is left out: ZeroDivisionError: no luck" in said
    assert "no method ran" in said
    assert "report.html has the reasons" in said
    assert (tmp_path / "report.html").exists()


class NotANumber(Ink):
    """Forgets a point."""

    name = "nan"

    def certify(self, x: Tensor, level: str) -> Radii:
        return {math.inf: np.full(len(x), np.nan)}


class OneTooFew(Ink):
    """Leaves out a point."""

    name = "short"

    def certify(self, x: Tensor, level: str) -> Radii:
        return {math.inf: np.ones(len(x) - 1)}


class AnotherNorm(Ink):
    """Answers in a norm that it does not name."""

    name = "another"

    def certify(self, x: Tensor, level: str) -> Radii:
        return {1.0: np.ones(len(x))}


def test_a_norm_that_was_not_named_is_refused(tmp_path: Path) -> None:
    register_method(AnotherNorm)
    with pytest.warns(MethodFailedWarning, match="must return a dict of the norms"):
        run(tmp_path, "another,linear")


@pytest.mark.parametrize(
    ("kind", "message"),
    [(NotANumber, "radii >= 0, none of them NaN"), (OneTooFew, "one radius per point")],
)
def test_radii_that_cannot_be_are_refused(kind: type[Method], message: str, tmp_path: Path) -> None:
    register_method(kind)
    with pytest.warns(MethodFailedWarning):
        found = run(tmp_path, f"{kind.name},linear")["methods"]
    assert message in found[kind.name]["reason"]


def test_a_run_is_not_overwritten_nor_overwrites(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["run", "breast-cancer", "--epochs", "1", "--out", str(tmp_path / "run")])
    before = {path: path.read_bytes() for path in (tmp_path / "run").iterdir() if path.is_file()}
    with pytest.raises(UserError, match="holds the results of `featureconvex run`"):
        run(tmp_path / "run", "linear")
    assert {path: path.read_bytes() for path in before} == before
    run(tmp_path / "compared", "linear")
    with pytest.raises(SystemExit, match="2"):
        main(["run", "digits-3-8", "--epochs", "1", "--out", str(tmp_path / "compared")])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("comparison.json", "garbage"),
        ("comparison.json", "[]"),
        ("comparison.json", "{}"),
        ("rows.parquet", "garbage"),
    ],
)
def test_damaged_results_come_back_as_the_error_says(
    name: str, content: str, tmp_path: Path
) -> None:
    before = run(tmp_path, "linear")["methods"]
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=r"delete comparison\.json and rows\.parquet, and run"):
        run(tmp_path, "linear")
    for path in (tmp_path / "comparison.json", tmp_path / "rows.parquet"):
        path.unlink()
    assert run(tmp_path, "linear")["methods"] == before


@pytest.mark.parametrize("name", ["model", "record.json"])
def test_a_damaged_fit_is_no_fit(name: str, tmp_path: Path) -> None:
    run(tmp_path, "linear")
    (path,) = tmp_path.glob(f"methods/linear/*/{name}")
    content = path.read_bytes()
    for damaged in (content[:-2] + b"XY", b"{}"):
        path.write_bytes(damaged)
        with pytest.warns(MethodFailedWarning, match="delete .* to fit anew"):
            run(tmp_path, "linear,ink")


def test_damaged_rows_say_what_to_do(tmp_path: Path) -> None:
    run(tmp_path, "linear")
    before = (tmp_path / "rows.parquet").read_bytes()
    (damaged,) = tmp_path.glob("methods/linear/*/rows/*.parquet")
    rows = pd.read_parquet(damaged)
    contents = [damaged.read_bytes()[:40]]
    for other in (rows.iloc[1:], rows.assign(label=1 - rows["label"])):
        other.to_parquet(damaged, index=False)
        contents.append(damaged.read_bytes())
    for content in contents:
        damaged.write_bytes(content)
        with pytest.warns(MethodFailedWarning, match=r"not what was certified; delete it"):
            run(tmp_path, "linear,ink")
    damaged.unlink()
    run(tmp_path, "linear")
    after = pd.read_parquet(tmp_path / "rows.parquet").query("method == 'linear'")
    left, right = (
        frame.filter(regex=r"^(?!seconds)").dropna(axis=1, how="all").reset_index(drop=True)
        for frame in (pd.read_parquet(io.BytesIO(before)), after)
    )
    pd.testing.assert_frame_equal(left, right)


def test_swapped_settings_lose_only_themselves(tmp_path: Path) -> None:
    before = run(tmp_path, "ink,linear")["methods"]
    one, other = sorted(tmp_path.glob("methods/ink/*"))
    for source, target in ((one, "aside"), (other, one.name), (one.with_name("aside"), other.name)):
        source.rename(source.with_name(target))
    with pytest.warns(MethodFailedWarning, match="results with another setting; delete it to fit"):
        found = run(tmp_path, "ink,linear")["methods"]
    assert "another setting" in found["ink"]["reason"]
    assert found["linear"] == before["linear"]


def test_a_file_where_a_folder_should_be_loses_only_its_setting(tmp_path: Path) -> None:
    (tmp_path / "methods" / "ink").mkdir(parents=True)
    (tmp_path / "methods" / "ink" / "factor-1.0").write_text("a file")
    with pytest.warns(MethodFailedWarning, match=r"ink factor 1\.0 is left out: .*factor-1\.0"):
        found = run(tmp_path, "ink")["methods"]["ink"]
    assert [s["setting"] for s in found["settings"]] == [{"factor": 0.5}]


def test_a_lost_comparison_is_not_taken_for_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, "linear")
    (tmp_path / "comparison.json").unlink()
    with pytest.raises(SystemExit, match="2"):
        main(["report", str(tmp_path)])
    assert "run the `featureconvex compare` command again" in capsys.readouterr().err


def test_rows_of_another_setting_or_step_are_refused(tmp_path: Path) -> None:
    before = run(tmp_path, "ink,linear")["methods"]["ink"]
    folder, another = sorted(tmp_path.glob("methods/ink/*/rows"))
    first = folder / "000000.parquet"
    own = first.read_bytes()
    for other in (another / first.name, folder / "000020.parquet"):
        first.write_bytes(other.read_bytes())
        with pytest.warns(MethodFailedWarning, match=r"is not what was certified; delete it"):
            run(tmp_path, "ink,linear")
    first.write_bytes(own)
    assert run(tmp_path, "ink,linear")["methods"]["ink"] == before


def test_all_methods_get_the_same_points_and_costs_have_a_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Fewer settings of one kind.
    monkeypatch.setattr(feature_convex, "SHARES", {1.0: (0.25,), 2.0: (), math.inf: (1.0,)})
    monkeypatch.setattr(feature_convex, "AFFINE_SHARES", {1.0: (), 2.0: (0.5,), math.inf: ()})
    found = run(tmp_path, "feature-convex,linear", limit=16, epochs=1)
    ours, linear = (found["methods"][name] for name in ("feature-convex", "linear"))
    levels = ours["settings"][0]["levels"]
    assert set(levels) == {"closed-form", "domain", "tight", "sound"}
    assert levels["sound"]["guarantee"] != levels["domain"]["guarantee"]
    assert ours["cost_ratio"] >= 1
    assert linear["cost_ratio"] > 0
    rows = pd.read_parquet(tmp_path / "rows.parquet")
    labels = {
        (name, setting): part["label"].tolist()
        for (name, setting), part in rows.groupby(["method", "setting"])
    }
    assert len({tuple(values) for values in labels.values()}) == 1
    assert len(labels) == len(ours["settings"]) + len(linear["settings"]) > 5


def test_a_table_is_compared_in_standard_deviations(tmp_path: Path) -> None:
    settings = CompareSettings("linear,feature-convex", limit=24, epochs=8)
    compare(find_task("breast-cancer"), tmp_path, settings, progress=False)
    found = json.loads((tmp_path / "comparison.json").read_text())
    assert found["unit"] == "training standard deviations"
    assert found["methods"]["feature-convex"]["clean_accuracy"] > 0.8


def test_a_column_to_keep_is_no_feature(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    spam = rng.integers(0, 2, 80)
    links = spam + rng.normal(size=80)
    table = pd.DataFrame(
        {"id": range(80), "links": links, "age": rng.normal(size=80), "spam": spam}
    )
    table.to_csv(tmp_path / "mails.csv", index=False)
    what = ["compare", str(tmp_path / "mails.csv"), "--label", "spam", "--keep", "id"]
    with pytest.raises(SystemExit, match="0"):
        main([*what, "--methods", "linear", "--epochs", "1", "--out", str(tmp_path / "out")])
    assert json.loads((tmp_path / "out" / "comparison.json").read_text())["shape"] == [2]
    rows = pd.read_parquet(tmp_path / "out" / "rows.parquet")
    assert rows["id"].astype(int).tolist() == rows["row"].tolist()
    with pytest.raises(SystemExit, match="2"):
        main([*what[:-1], "links", "--keep", "setting", "--out", str(tmp_path / "other")])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--methods", "linaer"], "unknown method linaer; use some of feature-convex"),
        (["--methods", " ,"], "no method named"),
        (["--limit", "0"], "--limit must be a whole number >= 1"),
        (["--costly-limit", "0"], "--costly-limit must be a whole number >= 1"),
        (["--seed", "-1"], "--seed must be >= 0"),
        (["--samples", "0"], "--samples must be a whole number >= 1"),
    ],
)
def test_bad_input_is_refused_before_any_work(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["compare", "digits-3-8", "--out", str(tmp_path / "out"), *arguments])
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_name_is_taken_once() -> None:
    class Other(Linear):
        pass

    with pytest.raises(UserError, match="exists already"):
        register_method(Other)
