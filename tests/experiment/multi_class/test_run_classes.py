"""Runs in which each class is to stay what it is, end to end on small data."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from tests.undrawn import undrawn_reports

import featureconvex as fc
from featureconvex.data import find_class_task, find_task, to_tensor
from featureconvex.data.named_tasks.bundled import (
    BundledDigitsReader,
    LabelledImages,
    sklearn_digits,
)
from featureconvex.data.named_tasks.every_class import EveryClass
from featureconvex.detector import ClassDetector
from featureconvex.errors import UserError
from featureconvex.experiment import Settings, certify_files, run
from featureconvex.experiment.multi_class import ClassSettings, rows, run_classes
from featureconvex.report.multi_class.report import write_class_report
from featureconvex.training.checkpoint import Checkpoint

KINDS = np.array(["ham", "phish", "scam"])
QUICK = ClassSettings(epochs=8)
NORMS = {"l1": 1, "l2": 2, "linf": np.inf}
COMPARED = 10


@pytest.fixture(scope="module", autouse=True)
def few_compared() -> Iterator[None]:
    """Levels above the closed form on a few points only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "COMPARED", COMPARED)
        patch.setattr(rows, "HELD", COMPARED)
        yield


@pytest.fixture(scope="module")
def mails(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of three classes with a category and an id."""
    rng, k = np.random.default_rng(0), np.arange(120) % 3
    table = pd.DataFrame(
        {
            "id": [f"m{i}" for i in range(len(k))],
            "links": rng.poisson(2 + 8 * k),
            "country": np.where(rng.random(len(k)) < 0.8, np.array(["DE", "FR", "US"])[k], "DE"),
            "length": rng.normal(size=len(k)) + 4 * k,
            "kind": KINDS[k],
        }
    )
    path = tmp_path_factory.mktemp("mails") / "mails.csv"
    table.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def table(mails: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of it, with its figures."""
    out = tmp_path_factory.mktemp("table")
    run_classes(find_class_task(str(mails), "kind", keep=("id",)), out, QUICK, progress=False)
    return out


def few_digits() -> LabelledImages:
    """The first 400 of the bundled digits."""
    images, labels = sklearn_digits()
    return images[:400], labels[:400]


DIGITS = replace(
    find_class_task("digits"),
    reader=BundledDigitsReader("scikit-learn", few_digits, EveryClass(tuple("0123456789"))),
)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All ten, after one epoch."""
    out = tmp_path_factory.mktemp("digits")
    with undrawn_reports():
        run_classes(DIGITS, out, ClassSettings(epochs=1), progress=False)
    return out


def read(folder: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Rows and metrics."""
    found = pd.read_parquet(folder / "rows.parquet")
    return found, json.loads((folder / "metrics.json").read_text())


def test_everything_promised_is_there(table: Path) -> None:
    for name in ("metrics.json", "rows.parquet", "record.json", "report.html", "model/model.json"):
        assert (table / name).is_file(), name
    for name in ("confusion", "certified_accuracy", "radii_by_class", "levels", "training"):
        assert (table / "figures" / f"{name}.png").stat().st_size > 5000, name
    assert not (table / "checkpoints").exists()
    found, metrics = read(table)
    assert metrics["multi_class"] == "own"
    assert metrics["classes"] == KINDS.tolist()
    assert metrics["clean_accuracy"] == (found["label"] == found["predicted"]).mean() > 0.8
    assert np.sum(metrics["confusion"]) == metrics["n_test"] == len(found) == 24
    assert metrics["n_compared"] == COMPARED
    assert set(metrics["levels"]) == {"closed-form", "tight"}
    for name, one in metrics["by_class"].items():
        own = found[found["label"] == name]
        right = own[own["predicted"] == name]
        assert one["n"] == len(own) == 8
        assert one["accuracy"] == metrics["accuracy_by_class"][name] == len(right) / len(own)
        assert one["median_radius"]["l2"] == pytest.approx(right["radius_l2"].median())
        average = right["radius_l2"].sum() / len(own)
        assert one["average_certified_radius"]["l2"] == pytest.approx(average)
    assert "median_radius" in metrics["training_std_units"]
    assert found["id"].str.startswith("m").all()


def check_rows(folder: Path, x: torch.Tensor, count: int, level: str, domain: Any) -> None:
    """The rows' radii and rivals are those of the stored model, on the first ``count`` points."""
    found, _ = read(folder)
    model = fc.load(folder)
    assert isinstance(model, ClassDetector)
    threats = [fc.Lp(p) for p in NORMS.values()]
    for certificate in fc.certify_classes(model, x[:count], threats, domain, level):
        column = f"radius_{certificate.threat.name}"
        suffix = "" if level == "closed-form" else f"_{level}"
        stored = found[column + suffix].to_numpy()
        np.testing.assert_array_equal(stored[:count], certificate.radius)
        assert np.isnan(stored[count:]).all()
        names = model.classes_[certificate.predicted]
        np.testing.assert_array_equal(found["predicted"][:count], names)
        if level == "closed-form":
            rival = found[f"rival_{certificate.threat.name}"]
            least = np.where(certificate.away > 0, certificate.away, np.inf).argmin(1)
            np.testing.assert_array_equal(rival, model.classes_[least])
            assert (rival != found["predicted"]).all()


def test_rows_are_the_stored_model_s_certificates(digits: Path, table: Path, mails: Path) -> None:
    images = to_tensor(DIGITS.load().test.x)
    check_rows(digits, images, len(images), "closed-form", None)
    data = find_class_task(str(mails), "kind", keep=("id",)).load()
    check_rows(table, torch.from_numpy(data.test.x), 24, "closed-form", None)
    check_rows(table, torch.from_numpy(data.test.x), COMPARED, "tight", None)


def test_levels_dominate_each_other_on_pictures(tmp_path: Path) -> None:
    """Pixels stay as they are for l1, so the box of black and white counts."""
    rng = np.random.default_rng(0)
    for k, name in enumerate(("dark", "grey", "light")):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for i in range(25):
            pixels = rng.integers(80 * k, 80 * k + 90, (4, 4), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pictures" / name / f"{i}.png")
    task, out = find_class_task(str(tmp_path / "pictures")), tmp_path / "run"
    with undrawn_reports():
        run_classes(task, out, ClassSettings(epochs=12, norm=1.0), progress=False)
    found, metrics = read(out)
    first = found[:COMPARED]
    assert (first["radius_l1_domain"] >= first["radius_l1"]).all()
    assert (first["radius_l1_domain"] > first["radius_l1"]).any()
    assert (first["radius_l1_tight"] >= first["radius_l1_domain"]).all()
    assert found["radius_l1_domain"][COMPARED:].isna().all()
    assert set(metrics["levels"]) == {"closed-form", "domain", "tight"}
    assert not found["row"].str.contains("/tmp").any()
    images = to_tensor(task.load().test.x)
    check_rows(out, images, COMPARED, "domain", fc.Box(0, 1))
    new = certify_files(out, tmp_path / "pictures", tmp_path / "new.csv", [fc.Lp(1)])
    assert new.rows == 75


def test_a_run_cut_short_continues_to_the_same_rows(
    table: Path, mails: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, save = find_class_task(str(mails), "kind", keep=("id",)), Checkpoint.save

    def dying(self: Checkpoint, state: dict[str, Any]) -> None:
        save(self, state)
        if len(state["history"]) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "save", dying)
    with pytest.raises(KeyboardInterrupt):
        run_classes(task, tmp_path, QUICK, progress=False)
    monkeypatch.setattr(Checkpoint, "save", save)
    with pytest.raises(UserError, match=r"another run \(recipe differ"):
        run_classes(task, tmp_path, ClassSettings(epochs=9), progress=False)
    with undrawn_reports():
        run_classes(task, tmp_path, QUICK, progress=False)
    pd.testing.assert_frame_equal(read(table)[0], read(tmp_path)[0])


def test_the_report_is_rebuilt_from_its_rows(table: Path) -> None:
    before = (table / "metrics.json").read_bytes(), (table / "report.html").read_bytes()
    with undrawn_reports():
        write_class_report(table)
    assert ((table / "metrics.json").read_bytes(), (table / "report.html").read_bytes()) == before


def test_the_two_kinds_of_run_keep_apart(table: Path, mails: Path, tmp_path: Path) -> None:
    binary = find_task(str(mails), "kind", "scam", keep=("id",))
    with pytest.raises(UserError, match=r"other settings .*multi_class own there, left out now"):
        run(binary, table, Settings(epochs=8), progress=False)
    own = find_class_task(str(mails), "kind", keep=("id",))
    (tmp_path / "record.json").write_text(json.dumps({"task": "mails", "asked": {"norm": "l2"}}))
    with pytest.raises(UserError, match="multi_class left out there, own now"):
        run_classes(own, tmp_path, QUICK, progress=False)


def test_the_model_takes_new_rows(table: Path, mails: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(mails)
    model = fc.load(table)
    assert isinstance(model, ClassDetector)
    assert model.score(frame, frame["kind"]) > 0.8
    assert (model.predict(frame[frame.columns[::-1]]) == model.predict(frame)).all()
    assert (model.predict_proba(frame).argmax(1) == model.decision_function(frame).argmax(1)).all()
    with pytest.raises(UserError, match="label 'eggs'"):
        model.score(frame, ["eggs"] * len(frame))
    few = frame[:6]
    certificate = model.certify(few)
    attacked = model.attack(few)
    assert certificate.threat.name == "edits"
    assert (certificate.radius > 0).any()
    assert (attacked.distance >= certificate.radius)[attacked.found].all()
    assert attacked.table is not None
    assert (model.predict(attacked.table) != model.predict(few))[attacked.found].all()
    out = tmp_path / "new.parquet"
    certify_files(table, mails, out, ["edits", fc.Lp(2)], keep=("id",), level="tight")
    written = pd.read_parquet(out)
    assert {"upper_l2", "upper_edits"}.isdisjoint(written)
    assert (written["predicted_class"] == model.predict(frame)).all()
    names = [f"radius_l2_not_{name}" for name in KINDS]
    least = written[names].where(written[names] > 0, np.inf).to_numpy().argmin(1)
    assert (written["rival_l2"] == KINDS[least]).all()
    with pytest.raises(UserError, match="certified for one sensitive class"):
        certify_files(table, mails, out, ["slack"])


def test_a_copy_still_finds_its_columns(table: Path, mails: Path) -> None:
    from copy import deepcopy

    frame = pd.read_csv(mails)[:3]
    model = fc.load(table)
    np.testing.assert_array_equal(deepcopy(model).predict(frame), model.predict(frame))


def test_a_model_without_names_of_classes_is_no_detector(table: Path, tmp_path: Path) -> None:
    model = fc.load(table)
    fc.save_model(model, tmp_path)
    with pytest.raises(UserError, match="whose names nobody wrote down"):
        fc.load(tmp_path)
    fc.save_model(model, tmp_path, {"classes": ["a", "b"]})
    with pytest.raises(UserError, match="does not name its 3 classes"):
        fc.load(tmp_path)


def test_a_class_of_too_few_rows_is_named(mails: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(mails)
    frame.loc[:1, "kind"] = "rare"
    frame.to_csv(tmp_path / "mails.csv", index=False)
    task = find_class_task(str(tmp_path / "mails.csv"), "kind", keep=("id",))
    with pytest.raises(UserError, match="class 'rare' has 1 training points"):
        run_classes(task, tmp_path / "out", QUICK, progress=False)


def test_a_table_keeps_its_columns_unless_a_norm_is_named(mails: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(mails)[["links", "length", "kind"]]
    frame.to_csv(tmp_path / "mails.csv", index=False)
    task = find_class_task(str(tmp_path / "mails.csv"), "kind")
    learned = []
    for priced in (True, False):
        settings = replace(QUICK, epochs=1, priced=priced)
        with undrawn_reports():
            run_classes(task, tmp_path / str(priced), settings, progress=False)
        record = json.loads((tmp_path / str(priced) / "record.json").read_text())
        learned.append("NonexpansiveLinear" in json.dumps(record["model"]))
    assert learned == [False, True]
