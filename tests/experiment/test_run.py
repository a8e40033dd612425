"""The main job, end to end on bundled data."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tests.undrawn import undrawn_reports

import featureconvex as fc
from featureconvex.data import find_task
from featureconvex.data.tables.columns import Column
from featureconvex.errors import UserError
from featureconvex.experiment import Settings, certify_files, run, tradeoff
from featureconvex.experiment.prepared import prepare
from featureconvex.models.file import load_model
from featureconvex.training.recipes import RECIPES

QUICK = Settings(epochs=4, temperature=0.3)


def certify_file(model: Path, inputs: Path, out: Path, threats: list[fc.Lp]) -> pd.DataFrame:
    """The rows that were written."""
    certify_files(model, inputs, out, threats)
    return pd.read_csv(out) if out.suffix == ".csv" else pd.read_parquet(out)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("digits")
    run(find_task("digits-3-8"), out, QUICK, progress=False)
    return out


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("table")
    with undrawn_reports():
        run(find_task("breast-cancer"), out, QUICK, progress=False)
    return out


def test_everything_promised_is_there(digits: Path) -> None:
    for name in ("metrics.json", "rows.parquet", "record.json", "report.html", "model/model.json"):
        assert (digits / name).is_file(), name
    assert list((digits / "figures").glob("*.png"))
    assert not (digits / "checkpoints").exists()
    metrics = json.loads((digits / "metrics.json").read_text())
    assert metrics["clean_accuracy"] > 0.9
    assert metrics["provenance"]["version"] == "0.1.0"
    used, threads = (metrics["provenance"][name] for name in ("instruction_set", "threads"))
    assert f"{used} instructions, {threads} thread" in (digits / "report.html").read_text()


def test_rows_are_the_stored_model_s_certificates(digits: Path) -> None:
    """Rows, model file and data tell one story: nothing is computed from anything else."""
    rows = pd.read_parquet(digits / "rows.parquet")
    dataset = find_task("digits-3-8").load()
    from featureconvex.data import to_tensor

    model, extra = load_model(digits / "model")
    assert extra["task"] == "digits-3-8"
    for p in (1, 2, np.inf):
        certificate = fc.certify(model, to_tensor(dataset.test.x), fc.Lp(p))
        np.testing.assert_array_equal(rows[f"radius_{certificate.threat.name}"], certificate.radius)
    np.testing.assert_array_equal(rows["label"], dataset.test.y)


@pytest.mark.usefixtures("undrawn")
def test_same_seed_same_rows(digits: Path, tmp_path: Path) -> None:
    run(find_task("digits-3-8"), tmp_path, QUICK, progress=False)
    first, second = (pd.read_parquet(folder / "rows.parquet") for folder in (digits, tmp_path))
    pd.testing.assert_frame_equal(first, second)


def test_tables_report_standard_deviations(table: Path) -> None:
    rows = pd.read_parquet(table / "rows.parquet")
    dataset = find_task("breast-cancer").load()
    std = dataset.train.x.std(axis=0)
    model, _ = load_model(table / "model")
    import torch

    cost = torch.from_numpy(1 / std)
    certificate = fc.certify(model, torch.from_numpy(dataset.test.x), fc.Lp(2, cost))
    np.testing.assert_allclose(rows["radius_std_l2"], certificate.radius, rtol=1e-5)


@pytest.mark.usefixtures("undrawn")
def test_a_run_cut_short_continues_to_the_same_rows(digits: Path, tmp_path: Path) -> None:
    """A checkpoint left by a killed run is picked up by the same command."""
    from featureconvex.training.checkpoint import Checkpoint

    saves = {"count": 0}
    original = Checkpoint.save

    def dying(self: Checkpoint, state: dict) -> None:
        original(self, state)
        saves["count"] += 1
        if saves["count"] == 2:
            raise KeyboardInterrupt

    Checkpoint.save = dying  # type: ignore[method-assign]
    try:
        with pytest.raises(KeyboardInterrupt):
            run(find_task("digits-3-8"), tmp_path, QUICK, progress=False)
    finally:
        Checkpoint.save = original  # type: ignore[method-assign]
    assert (tmp_path / "checkpoints").exists()
    with pytest.raises(UserError, match="another run"):
        run(find_task("digits-3-8"), tmp_path, Settings(epochs=5, temperature=0.3), progress=False)
    run(find_task("digits-3-8"), tmp_path, QUICK, progress=False)
    first, second = (pd.read_parquet(folder / "rows.parquet") for folder in (digits, tmp_path))
    pd.testing.assert_frame_equal(first, second)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"norm": 3.0}, "norm 1, 2 or inf"),
        ({"recipe": "secret"}, "unknown recipe"),
        ({"target_fpr": 2.0}, "false-positive rate"),
        ({"recipe": "paper", "temperature": 1.0}, "no temperature"),
        ({"temperature": -1.0}, "temperature must be"),
        ({"epochs": 0}, "epochs"),
        ({"seed": -1}, "seed"),
        ({"device": "tpu"}, "unknown device"),
    ],
)
def test_bad_settings_fail_before_the_data_is_read(
    settings: dict[str, object], word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = find_task("digits-3-8")
    monkeypatch.setattr(type(task), "load", lambda *_: pytest.fail("read the data first"))
    with pytest.raises(UserError, match=word):
        run(task, tmp_path / "out", Settings(**settings), progress=False)  # type: ignore[arg-type]


def test_unwritable_output_fails_first(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        run(find_task("digits-3-8"), tmp_path / "file" / "out", QUICK, progress=False)


@pytest.mark.usefixtures("undrawn")
def test_target_false_positive_rate(tmp_path: Path) -> None:
    settings = Settings(epochs=4, temperature=0.3, target_fpr=0.0)
    run(find_task("digits-3-8"), tmp_path, settings, progress=False)
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["calibration"]["rule"] == "fpr"
    assert record["calibration"]["other_accuracy"] == 1.0


@pytest.mark.usefixtures("undrawn", "few_pilots")
def test_the_temperature_chooses_itself(tmp_path: Path) -> None:
    run(find_task("digits-3-8"), tmp_path, Settings(epochs=4), progress=False)
    record = json.loads((tmp_path / "record.json").read_text())
    chosen = [pilot for pilot in record["tradeoff"] if pilot["chosen"]]
    assert len(chosen) == 1
    assert record["temperature"] > 0


@pytest.mark.usefixtures("undrawn")
def test_paper_recipe_calibrates_on_the_test_points(tmp_path: Path) -> None:
    run(find_task("digits-3-8"), tmp_path, Settings(recipe="paper", epochs=2), progress=False)
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["calibration"]["on"] == "test"
    assert "paper" in (tmp_path / "report.html").read_text()


@pytest.mark.usefixtures("undrawn")
def test_tradeoff_draws_and_keeps_what_is_there(tmp_path: Path) -> None:
    task, settings = find_task("digits-3-8"), Settings(epochs=2)
    figure = tradeoff(task, tmp_path, settings, [0.1, 1.0], progress=False)
    assert figure.stat().st_size > 5000
    stamp = (tmp_path / "temperature-0.1" / "report.html").stat().st_mtime_ns
    tradeoff(task, tmp_path, settings, [0.1, 1.0], progress=False)
    assert (tmp_path / "temperature-0.1" / "report.html").stat().st_mtime_ns == stamp
    points = json.loads((tmp_path / "tradeoff.json").read_text())["points"]
    assert [point["temperature"] for point in points] == [0.1, 1.0]
    # What another sweep left is not taken for this one's.
    before = (tmp_path / "tradeoff.json").read_bytes()
    for other, changed in (
        (task, Settings(epochs=3)),
        (find_task("breast-cancer"), settings),
        (task, Settings(epochs=2, norm=math.inf)),
    ):
        with pytest.raises(UserError, match="holds the results of"):
            tradeoff(other, tmp_path, changed, [1.0, 2.0], progress=False)
    with pytest.raises(UserError, match="holds the results of digits-3-8"):
        tradeoff(find_task("breast-cancer"), tmp_path, settings, [2.0], progress=False)
    assert (tmp_path / "tradeoff.json").read_bytes() == before
    assert not (tmp_path / "temperature-2").exists()


def test_certify_file_reads_what_users_have(digits: Path, table: Path, tmp_path: Path) -> None:
    images = find_task("digits-3-8").load().test.x
    np.save(tmp_path / "digits.npy", images)
    expected = pd.read_parquet(digits / "rows.parquet")["radius_l2"]
    for place in (digits, digits / "model"):
        rows = certify_file(place, tmp_path / "digits.npy", tmp_path / "rows.parquet", [fc.Lp(2)])
        np.testing.assert_allclose(rows["radius_l2"], expected, rtol=1e-6)
    cells = find_task("breast-cancer").load()
    frame = pd.DataFrame(cells.test.x, columns=cells.feature_names)
    # Order and further columns do not matter: columns are found by name.
    frame = frame[frame.columns[::-1]].assign(label="unknown")
    frame.to_csv(tmp_path / "cells.csv", index=False)
    rows = certify_file(table, tmp_path / "cells.csv", tmp_path / "rows.csv", [fc.Lp(1)])
    np.testing.assert_allclose(
        rows["radius_l1"], pd.read_parquet(table / "rows.parquet")["radius_l1"], rtol=1e-6
    )
    assert len(pd.read_csv(tmp_path / "rows.csv")) == len(frame)


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("x.npy", b"garbage", "cannot be read as an array"),
        ("x.csv", b"a,b\n1,2\n", "lacks 30 of the 30 columns"),
        ("x.txt", b"", "expected"),
    ],
)
def test_certify_file_refuses_clearly(
    name: str, content: bytes, word: str, table: Path, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=word):
        certify_file(table, tmp_path / name, tmp_path / "rows.csv", [fc.Lp(2)])
    assert not (tmp_path / "rows.csv").exists()
    with pytest.raises(UserError, match="there is no file"):
        certify_file(table, tmp_path / "none.csv", tmp_path / "rows.csv", [fc.Lp(2)])
    with pytest.raises(UserError, match=r"\.csv or \.parquet"):
        certify_file(table, tmp_path / name, tmp_path / "rows.xls", [fc.Lp(2)])


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.zeros((2, 64)), r"got \(2, 64\); unflatten the rows, x\.reshape\(-1, 1, 8, 8\)"),
        (np.zeros((2, 8, 8)), r"got \(2, 8, 8\); add the channel axis, x\[:, None\]"),
        (
            np.zeros((2, 8, 8, 1)),
            r"got \(2, 8, 8, 1\); move the channels to the front, x\.transpose\(0, 3, 1, 2\)",
        ),
        (np.zeros((1, 8, 8)), r"got \(1, 8, 8\); for one input add a first axis, x\[None\]"),
        (np.zeros((2, 3, 8, 8)), r"got \(2, 3, 8, 8\); give inputs of the kind"),
        (np.zeros(64), r"got \(64,\); give inputs of the kind"),
        (np.zeros(()), "holds a single number"),
    ],
    ids=["flat", "no channel", "channels last", "one image", "colour", "one row", "number"],
)
def test_arrays_of_another_shape_say_what_is_expected(
    x: np.ndarray, words: str, digits: Path, tmp_path: Path
) -> None:
    np.save(tmp_path / "x.npy", x)
    expected = "" if x.ndim == 0 else r"expected inputs of shape \(n, 1, 8, 8\), "
    with pytest.raises(UserError, match=rf"x\.npy.*{expected}{words}"):
        certify_file(digits, tmp_path / "x.npy", tmp_path / "r.csv", [fc.Lp(2)])


def test_pictures_that_do_not_fit_the_model_say_why(digits: Path, tmp_path: Path) -> None:
    from PIL import Image

    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    rows = certify_file(digits, tmp_path / "a.png", tmp_path / "r.csv", [fc.Lp(2)])
    assert rows["file"].tolist() == ["a.png"]
    for mode, size, words in (
        ("L", (9, 8), r"b\.png is 8 x 9 pixels, the model was trained on 8 x 8"),
        ("RGB", (8, 8), r"b\.png is in colour, the model was trained on grey"),
    ):
        Image.new(mode, size).save(tmp_path / "b.png")
        with pytest.raises(UserError, match=words):
            certify_file(digits, tmp_path / "b.png", tmp_path / "r.csv", [fc.Lp(2)])
        # Among others it costs itself only.
        again = certify_file(digits, tmp_path, tmp_path / "r.csv", [fc.Lp(2)])
        assert again["status_l2"].tolist() == [rows["status_l2"][0], "unreadable"]
        assert again["radius_l2"].tolist() == pytest.approx([rows["radius_l2"][0], 0], rel=1e-5)


@pytest.mark.usefixtures("undrawn")
def test_grey_pictures_among_colour_ones_are_certified_as_they_were_trained_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    rng = np.random.default_rng(0)
    for name, low in (("dark", 0), ("light", 140)):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for i in range(25):
            pixels = rng.integers(low, low + 110, (8, 8, 3), dtype=np.uint8)
            image = Image.fromarray(pixels).convert("L" if i == 0 else "RGB")
            image.save(tmp_path / "pictures" / name / f"{i}.png")
    task = find_task(str(tmp_path / "pictures"), sensitive="light")
    run(task, tmp_path / "run", QUICK, progress=True)
    shown = capsys.readouterr().err
    assert "pictures: 2 of the 50 pictures are grey, the others in colour" in shown
    assert "2 of the 50 pictures" in (tmp_path / "run" / "report.html").read_text()
    lights = tmp_path / "pictures" / "light"
    every = certify_file(tmp_path / "run", lights, tmp_path / "r.csv", [fc.Lp(2)])
    grey = certify_file(tmp_path / "run", lights / "0.png", tmp_path / "r.csv", [fc.Lp(2)])
    assert every["file"][0] == "0.png"
    np.testing.assert_allclose(grey["radius_l2"][0], every["radius_l2"][0], rtol=1e-4)
    assert every["predicted"].mean() > 0.8


def _mails(n: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    country = rng.choice(["DE", "FR", "US"], n)
    links = rng.poisson(3.0, n) + 4.0 * (country == "US")
    spam = np.where(links + rng.normal(size=n) > 5, "spam", "ham")
    return pd.DataFrame(
        {"country": country, "links": links, "length": rng.normal(size=n), "kind": spam}
    )


@pytest.mark.usefixtures("undrawn")
def test_a_model_of_a_table_with_categories_certifies_new_rows(tmp_path: Path) -> None:
    mails = _mails(200)
    mails.to_csv(tmp_path / "mails.csv", index=False)
    task = find_task(str(tmp_path / "mails.csv"), label="kind", sensitive="spam")
    run(task, tmp_path / "run", QUICK, progress=False)
    results = []
    for frame in (mails, mails[["length", "kind", "country", "links"]]):
        frame.to_csv(tmp_path / "new.csv", index=False)
        rows = certify_file(tmp_path / "run", tmp_path / "new.csv", tmp_path / "r.csv", [fc.Lp(2)])
        results.append(rows)
    pd.testing.assert_frame_equal(results[0], results[1])
    assert set(results[0]["predicted_class"]) == {"spam", "ham"}
    mails.assign(country="XX").to_csv(tmp_path / "new.csv", index=False)
    rows = certify_file(tmp_path / "run", tmp_path / "new.csv", tmp_path / "r.csv", [fc.Lp(2)])
    assert set(rows["status_l2"]) == {"unknown_category"}
    assert (rows["radius_l2"] == 0).all()
    mails.assign(links="many").to_csv(tmp_path / "new.csv", index=False)
    with pytest.raises(UserError, match="text in a column of numbers"):
        certify_file(tmp_path / "run", tmp_path / "new.csv", tmp_path / "r.csv", [fc.Lp(2)])


@pytest.mark.usefixtures("undrawn")
def test_a_tiny_table_is_calibrated_on_its_training_points(tmp_path: Path) -> None:
    _mails(14).to_csv(tmp_path / "mails.csv", index=False)
    task = find_task(str(tmp_path / "mails.csv"), label="kind", sensitive="spam")
    run(task, tmp_path / "run", QUICK, progress=False)
    assert "too few to hold any out" in (tmp_path / "run" / "report.html").read_text()


def test_another_task_s_results_are_not_overwritten(digits: Path) -> None:
    with pytest.raises(UserError, match="holds the results of digits-3-8"):
        run(find_task("breast-cancer"), digits, QUICK, progress=False)


def test_results_of_other_settings_are_not_overwritten(digits: Path) -> None:
    with pytest.raises(UserError, match=r"other settings \(seed 0 there, 1 now\)"):
        run(find_task("digits-3-8"), digits, replace(QUICK, seed=1), progress=False)


def test_the_rows_never_replace_the_inputs(table: Path, tmp_path: Path) -> None:
    path = tmp_path / "cells.csv"
    path.write_text("a\n1\n")
    with pytest.raises(UserError, match="is the input itself"):
        certify_file(table, path, tmp_path / "." / "cells.csv", [fc.Lp(2)])
    assert path.read_text() == "a\n1\n"


def test_a_row_without_a_margin_has_no_prediction(table: Path, tmp_path: Path) -> None:
    cells = find_task("breast-cancer").load()
    frame = pd.DataFrame(cells.test.x[:3], columns=cells.feature_names)
    frame.iloc[1, 4] = np.nan
    frame.to_csv(tmp_path / "cells.csv", index=False)
    for name in ("rows.csv", "rows.parquet"):
        rows = certify_file(table, tmp_path / "cells.csv", tmp_path / name, [fc.Lp(2)])
        read = pd.read_csv if name.endswith("csv") else pd.read_parquet
        for found in (rows, read(tmp_path / name)):
            assert found["predicted"].isna().tolist() == [False, True, False]
            assert found["predicted_class"].isna().tolist() == [False, True, False]
            assert found["status_l2"][1] == "non_finite"


def test_rows_that_cannot_be_written_fail_first(digits: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        certify_file(digits, tmp_path / "x.npy", tmp_path / "file" / "rows.csv", [fc.Lp(2)])


def test_load_takes_a_run_s_folder(digits: Path) -> None:
    assert isinstance(fc.load(digits), fc.FeatureConvexModel)


@pytest.mark.usefixtures("undrawn")
def test_a_constant_column_has_no_pull(tmp_path: Path) -> None:
    """Nothing was learnt about a column that never varied, so it is not among those that matter."""
    _mails(120).assign(always=7.0).to_csv(tmp_path / "mails.csv", index=False)
    task = find_task(str(tmp_path / "mails.csv"), label="kind", sensitive="spam")
    run(task, tmp_path / "run", QUICK, progress=False)
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    deviations = dict(zip(record["feature_names"], record["feature_std"], strict=True))
    assert deviations["always"] == 0
    assert all(value > 0 for name, value in deviations.items() if name != "always")
    assert 'title="always"' not in (tmp_path / "run" / "report.html").read_text()
    assert 'title="links"' in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.realdata
@pytest.mark.usefixtures("undrawn", "few_pilots")
def test_every_named_table_comes_to_an_end(tmp_path: Path) -> None:
    """Feature names with brackets in them once hung the record."""
    run(find_task("spambase"), tmp_path, Settings(epochs=1), progress=False)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["n_test"] == 921
    assert "char_freq_[" in json.loads((tmp_path / "record.json").read_text())["feature_names"]


@pytest.mark.parametrize("norm", [1.0, 2.0, np.inf])
def test_columns_stay_as_they_are_where_nobody_names_a_norm(norm: float) -> None:
    """After a learned map the price of an attack is proved through l2 only (docs/training.md)."""
    dataset = find_task("breast-cancer").load()
    recipe = RECIPES["default"]("", dataset.train.x.shape, norm)
    for priced in (False, True):
        ready = prepare(dataset, recipe, torch.device("cpu"), priced=priced)
        (name,) = ready.architecture.builds
        learned = norm == 2 and not priced
        assert (name == "orthogonal") == learned
        assert (ready.recipe.asymmetry == 1) == (norm == 2 and priced)
    described = replace(dataset, columns=(Column("a", "boolean"),))
    kept = prepare(described, recipe, torch.device("cpu"))
    assert list(kept.architecture.builds) == ["identity"]
    assert Settings(priced=True).values() != Settings().values()
    assert "priced" not in Settings().values()
