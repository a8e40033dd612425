"""Data of a user's own through the command line: nothing is silently misread."""

import io
import json
import resource
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from tests.undrawn import undrawn_reports

import featureconvex as fc
from featureconvex import cli
from featureconvex.cli.options import columns
from featureconvex.estimator import FeatureConvexClassifier
from featureconvex.report.figures import FIGURES
from featureconvex.report.plot_style import png_bytes
from featureconvex.report.report import write_report
from featureconvex.results.folder import read_run
from featureconvex.training.checkpoint import Checkpoint

ODD = "f[0]<0>"
QUICK = ("--epochs", "2", "--temperature", "0.3")


def command(*arguments: object) -> int:
    """Exit status of the command line, in this process."""
    try:
        cli.main([str(argument) for argument in arguments])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def certify(model: Path, inputs: Path, *options: object) -> pd.DataFrame:
    out = model / "certified.csv"
    assert command("certify", model, inputs, "--out", out, *options) == 0
    return pd.read_csv(out, keep_default_na=False, na_values=[""])


def frame(n: int = 60) -> pd.DataFrame:
    """Awkward names, categories called NA and None, numbers and truth values."""
    rng = np.random.default_rng(0)
    kind = rng.choice(["NA", "None", "x", "<b>$"], n)
    score = rng.normal(size=n) + 2.0 * (kind == "x")
    return pd.DataFrame(
        {
            "id": [f"{i:04d}" for i in range(n)],
            "kind": kind,
            "kind=x": rng.normal(size=n),
            "arch=kind": rng.integers(0, 9, n),
            ODD: score,
            "{{ 7 * 7 }} %{y}": rng.normal(size=n),
            "flag": rng.random(n) < 0.5,
            "class": np.where(score > 1, "a$\\frac{$b", "c$</script>$d"),
        }
    )


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a table with two gaps; beside it the table, as CSV."""
    folder = tmp_path_factory.mktemp("odd")
    table = frame().astype(object)
    table.loc[3, "kind"] = None
    table.loc[7, "flag"] = None
    table.loc[9, ODD] = "NA"
    table.to_csv(folder / "t.csv", index=False)
    with undrawn_reports():
        done = command(
            *("run", folder / "t.csv", "--label", "class", "--sensitive", "a$\\frac{$b"),
            *("--out", folder / "run", "--keep", "id", "--missing", "drop", *QUICK),
            *("--recipe", "fixed"),  # which knows what a column that cannot change is worth
        )
    assert done == 0
    return folder


def test_a_refused_run_leaves_no_folder(tmp_path: Path) -> None:
    frame().drop(columns="class").to_csv(tmp_path / "t.csv", index=False)
    assert (
        command("run", tmp_path / "t.csv", "--label", "class", "--out", tmp_path / "a" / "run") == 2
    )
    assert command("run", "mnist-3-8", "--data-dir", tmp_path, "--out", tmp_path / "a" / "run") == 2
    assert not (tmp_path / "a").exists()


def test_a_table_is_certified_as_it_was_trained_on(odd: Path) -> None:
    """No row is mapped to another: the training file's certificates are those of the test rows."""
    tested = pd.read_parquet(odd / "run" / "rows.parquet")
    again = certify(odd / "run", odd / "t.csv", "--keep", "id").set_index("row")
    assert len(again) == 60
    whole = again.loc[tested["row"]]
    np.testing.assert_allclose(whole["margin"], tested["margin"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(whole["radius_l2"], tested["radius_l2"], rtol=1e-5, atol=1e-6)
    assert json.loads((odd / "run" / "metrics.json").read_text())["task"] == "t"
    assert tested["id"].tolist() == [f"{row:04d}" for row in tested["row"]]
    assert again["id"].astype(int).tolist() == list(range(60))
    gaps = again["status_l2"] == "non_finite"
    assert np.flatnonzero(gaps).tolist() == [3, 7, 9]
    assert again["margin"].isna().tolist() == gaps.tolist()


def test_the_report_shows_names_as_they_are(odd: Path) -> None:
    page = (odd / "run" / "report.html").read_text(encoding="utf-8")
    assert "<b>$" not in page
    assert "c$&lt;/script&gt;$d" in page
    assert "{{ 7 * 7 }}" not in page or "49" not in page.partition("{{ 7 * 7 }}")[0][-5:]
    rows = pd.read_parquet(odd / "run" / "rows.parquet")
    assert any(f"row {row}<" in page for row in rows["row"])
    assert "counted from 0 below the header" in page
    confusion = FIGURES["confusion.png"](read_run(odd / "run"))
    assert confusion is not None
    assert png_bytes(confusion)


def test_gaps_and_new_categories_are_statuses_of_their_rows(
    odd: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = frame(8)
    before = certify(odd / "run", _saved(table, odd / "new.csv"))
    table.loc[1, "kind"] = "n"
    table.loc[2, "kind"] = np.nan
    table["arch=kind"] = table["arch=kind"].astype(object)
    table.loc[3, "arch=kind"] = "NA"
    capsys.readouterr()
    after = certify(odd / "run", _saved(table, odd / "new.csv"))
    assert after["status_l2"][1] == "unknown_category"
    assert after["status_l2"][2:4].tolist() == ["non_finite"] * 2
    assert (after["radius_l2"][1:4] == 0).all()
    assert after["margin"][1:4].isna().all()
    first, second = (table.drop(index=[1, 2, 3]) for table in (before, after))
    pd.testing.assert_frame_equal(first, second, check_dtype=False)
    told = capsys.readouterr().err
    assert "column 'kind': categories that training never saw" in told
    assert "(such as 'n'; known are " in told


def _saved(table: pd.DataFrame, path: Path) -> Path:
    table.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("name", ["t.csv.gz", "t.parquet", "t.pq", "-"])
def test_every_table_that_trains_certifies(
    name: str, odd: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = frame(20)
    expected = certify(odd / "run", _saved(table, odd / "plain.csv"))
    path = Path("-") if name == "-" else odd / name
    if name == "-":
        text = io.BytesIO(table.to_csv(index=False).encode())
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(text))
    elif name == "t.csv.gz":
        table.to_csv(path, index=False)
    else:
        table.to_parquet(path)
    pd.testing.assert_frame_equal(certify(odd / "run", path), expected)
    capsys.readouterr()
    assert command("certify", odd / "run", odd / "plain.csv", "--out", "-") == 0
    shown = pd.read_csv(io.StringIO(capsys.readouterr().out), keep_default_na=False, na_values=[""])
    pd.testing.assert_frame_equal(shown, expected)


def test_the_name_of_a_one_hot_column_is_all_of_its_features(
    odd: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _saved(frame(20), odd / "new.csv")
    names = ['"""kind""=""x"""', *(f"kind={word}" for word in ("NA", "None", "<b>$"))]
    whole = certify(odd / "run", path, "--immutable", "kind")
    pd.testing.assert_frame_equal(certify(odd / "run", path, "--immutable", ",".join(names)), whole)
    free = certify(odd / "run", path, "--level", "domain")
    assert (whole["radius_l2"] >= free["radius_l2"]).all()
    assert (whole["radius_l2"] > free["radius_l2"]).any()
    for option in ("--increase-only", "--decrease-only"):
        capsys.readouterr()
        assert (
            command("certify", odd / "run", path, "--out", odd / "r.csv", option, "flag,kind") == 2
        )
        assert "'kind', which is one-hot encoded and has no direction" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a,b", ["a", "b"]),
        ('"x,y", b ,', ["x,y", "b"]),
        ('"say ""hi"""', ['say "hi"']),
        (None, []),
        ("0,2", ["0", "2"]),
    ],
)
def test_columns_are_listed_as_in_a_csv_file(text: str | None, names: list[str]) -> None:
    assert columns(text) == names


def test_an_open_quote_is_refused() -> None:
    with pytest.raises(fc.UserError, match="quote a name with"):
        columns('"x,y')


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("flag", 0.5, "takes 0 or 1"),
        ("flag", -1.0, "takes 0 or 1"),
        ("kind", [0.25] * 4, "takes one 1"),
        ("kind", [1.0, 1.0, 0.0, 0.0], "takes one 1"),
        ("kind", [0.0] * 4, "takes one 1"),
        ("kind", [np.nan] * 4, None),
        ("flag", np.nan, None),
    ],
)
def test_an_encoded_array_is_held_to_its_columns(
    column: str,
    value: float | list[float],
    words: str | None,
    odd: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from featureconvex.data.meaning import Meaning
    from featureconvex.data.tables.encoding import encode
    from featureconvex.models.file import read_extra

    columns = Meaning.from_extra(read_extra(odd / "run" / "model")).columns
    assert columns is not None
    table = frame(20)
    x = encode(table, columns, "t").x
    np.save(odd / "x.npy", x)
    expected = certify(odd / "run", _saved(table, odd / "new.csv"))
    pd.testing.assert_frame_equal(certify(odd / "run", odd / "x.npy"), expected)
    place = [c.name for c in columns].index(column)
    start = sum(c.width for c in columns[:place])
    x[3, start : start + columns[place].width] = value
    np.save(odd / "x.npy", x)
    capsys.readouterr()
    status = command("certify", odd / "run", odd / "x.npy", "--out", odd / "r.csv")
    shown = capsys.readouterr().err
    if words is None:
        assert status == 0
        assert pd.read_csv(odd / "r.csv")["status_l2"][3] == "non_finite"
    else:
        # One bad row costs only itself.
        assert status == 0
        found = pd.read_csv(odd / "r.csv")["status_l2"]
        assert (found == "unreadable").tolist() == [row == 3 for row in range(len(found))]
        assert f"row 3: the column {column!r} {words}" in " ".join(shown.split())


def test_the_model_of_a_run_knows_its_columns(odd: Path) -> None:
    model = fc.load(odd / "run")
    assert isinstance(model, fc.FeatureConvexModel)
    table = frame(20)
    expected = certify(odd / "run", _saved(table, odd / "new.csv"), "--immutable", "kind")
    turned = table[table.columns[::-1]].assign(more="words")
    box = fc.Box(-np.inf, np.inf, immutable=["kind"])
    found = fc.certify(model, turned, fc.Lp(2), box, "domain")
    np.testing.assert_allclose(found.radius, expected["radius_l2"], rtol=1e-6)
    flips = fc.attack(model, turned, fc.Lp(2), box, steps=5)
    assert (flips.distance[flips.found] >= found.radius[flips.found]).all()
    with pytest.raises(fc.UserError, match=r"lacks 1 of the 6 columns .*arch=kind"):
        fc.certify(model, table.drop(columns="arch=kind"))
    with pytest.raises(fc.UserError, match="truth values where training had numbers"):
        fc.certify(model, table.assign(**{"arch=kind": True}))
    with pytest.raises(fc.UserError, match="names the column 'kynd'"):
        fc.certify(model, table, fc.Lp(2), fc.Box(-9, 9, immutable=["kynd"]), "domain")


def test_the_model_of_a_run_on_images_refuses_another_unit(bytes_of_pictures: Path) -> None:
    import torch

    model = fc.load(bytes_of_pictures / "run")
    assert isinstance(model, fc.FeatureConvexModel)
    pixels = _pixels(bytes_of_pictures)
    for wrong in (pixels, pixels.astype(float), pixels.astype(int), torch.from_numpy(pixels)):
        for work in (fc.certify, fc.attack):
            with pytest.raises(fc.UserError, match="give x / 255 if 255 is white"):
                work(model, wrong)
    for right in (pixels / 255, torch.from_numpy(pixels) / 255 - 0.25):
        assert len(fc.certify(model, right)) == len(pixels)


def test_a_kept_column_of_our_own_name_is_refused(
    odd: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _saved(frame(5).assign(margin=1.0), odd / "clash.csv")
    status = command("certify", odd / "run", path, "--out", odd / "r.csv", "--keep", "margin")
    assert status == 2
    assert "the rows have one of that name; rename it" in capsys.readouterr().err


@pytest.fixture(scope="module")
def bytes_of_pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on uint8 pictures, in ``pets`` beside it."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for name, low in (("dark", 0), ("light", 90)):
        (folder / "pets" / name).mkdir(parents=True)
        for i in range(25):
            pixels = rng.integers(low, low + 140, (6, 6), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "pets" / name / f"{i}.png")
    done = ("run", folder / "pets", "--sensitive", "light", "--out", folder / "run", *QUICK)
    with undrawn_reports():
        assert command(*done) == 0
    return folder


def _pixels(folder: Path) -> np.ndarray:
    files = sorted((folder / "pets").glob("*/*.png"))
    return np.stack([np.asarray(Image.open(file)) for file in files])[:, None]


def test_a_folder_that_trained_certifies(bytes_of_pictures: Path) -> None:
    run = bytes_of_pictures / "run"
    tested = pd.read_parquet(run / "rows.parquet")
    assert tested["row"].str.startswith(("dark/", "light/")).all()
    whole = certify(run, bytes_of_pictures / "pets").set_index("row")
    assert len(whole) == 50
    np.testing.assert_allclose(
        whole.loc[tested["row"], "radius_l2"], tested["radius_l2"], rtol=1e-4, atol=1e-6
    )
    np.save(bytes_of_pictures / "x.npy", _pixels(bytes_of_pictures))
    for scaled in (_pixels(bytes_of_pictures), _pixels(bytes_of_pictures) / 255.0):
        np.save(bytes_of_pictures / "x.npy", scaled)
        arrays = certify(run, bytes_of_pictures / "x.npy")
        np.testing.assert_allclose(arrays["margin"], whole["margin"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dtype", ["int64", "uint16", "float32", "float64", "bool"])
def test_pixels_of_another_unit_are_refused(
    dtype: str, bytes_of_pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(bytes_of_pictures / "x.npy", _pixels(bytes_of_pictures).astype(dtype))
    out = bytes_of_pictures / "r.csv"
    status = command(
        "certify", bytes_of_pictures / "run", bytes_of_pictures / "x.npy", "--out", out
    )
    shown = capsys.readouterr().err
    assert status == 2, shown
    assert "save x.astype(numpy.uint8)" in shown
    assert not out.exists()


def test_masks_of_0_and_1_are_not_taken_for_black_pictures(
    bytes_of_pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    masks = (_pixels(bytes_of_pictures) > 100).astype(np.uint8)
    np.save(tmp_path / "x.npy", masks)
    out = tmp_path / "r.csv"
    assert command("certify", bytes_of_pictures / "run", tmp_path / "x.npy", "--out", out) == 2
    assert "where 255 is white; if they are a mask" in capsys.readouterr().err
    for fine in (masks * np.uint8(255), masks / 1.0, masks * np.uint8(0)):
        np.save(tmp_path / "x.npy", fine)
        certify(bytes_of_pictures / "run", tmp_path / "x.npy")
    # In training as well, whatever kind of file they come in.
    for suffix in ("npy", "png"):
        for number, name in enumerate(("dark", "light")):
            (tmp_path / suffix / name).mkdir(parents=True)
            for i, mask in enumerate(masks[25 * number :][:25, 0]):
                path = tmp_path / suffix / name / f"{i}.{suffix}"
                np.save(path, mask) if suffix == "npy" else Image.fromarray(mask).save(path)
        out = tmp_path / f"run-{suffix}"
        assert command("run", tmp_path / suffix, "--sensitive", "light", "--out", out, *QUICK) == 2
        assert "where 255 is white; if they are a mask" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["bytes", "arrays"])
@pytest.mark.usefixtures("undrawn")
def test_folders_of_other_files_certify(kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number, name in enumerate(("good", "bad")):
        (tmp_path / "files" / name).mkdir(parents=True)
        for i in range(22):
            path = tmp_path / "files" / name / f"{i}"
            if kind == "bytes":
                content = rng.integers(60 * number, 60 * number + 90, 40, dtype=np.uint8)
                path.with_suffix(".exe").write_bytes(content.tobytes())
            else:
                np.save(path.with_suffix(".npy"), rng.integers(0, 9, 5) + 4 * number)
    run = tmp_path / "run"
    assert command("run", tmp_path / "files", "--sensitive", "bad", "--out", run, *QUICK) == 0
    tested = pd.read_parquet(run / "rows.parquet")
    whole = certify(run, tmp_path / "files").set_index("row")
    np.testing.assert_allclose(
        whole.loc[tested["row"], "margin"], tested["margin"], rtol=1e-4, atol=1e-6
    )
    one = tested["row"][0]
    single = certify(run, tmp_path / "files" / one)
    np.testing.assert_allclose(single["margin"], tested["margin"][:1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64", ">f8", "bool"])
def test_a_table_s_numbers_are_never_scaled(dtype: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, (40, 3)).astype(np.float64)
    y = (x.sum(axis=1) > 1).astype(int)
    clf = FeatureConvexClassifier(epochs=2, temperature=0.3, random_state=0).fit(x, y)
    clf.save(tmp_path / "model")
    np.save(tmp_path / "x.npy", x.astype(dtype))
    rows = certify(tmp_path / "model", tmp_path / "x.npy")
    np.testing.assert_allclose(rows["margin"], clf.certify(x).margin)
    # Words would have to be encoded, and the model does not know how.
    pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": "w"}).to_csv(tmp_path / "x.csv", index=False)
    status = command("certify", tmp_path / "model", tmp_path / "x.csv", "--out", tmp_path / "r.csv")
    assert status == 2


def test_the_class_names_are_the_estimator_s(tmp_path: Path) -> None:
    x = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 2)), columns=["a", "b"])
    y = np.where(x["a"] > 0, "alpha", "beta")
    clf = FeatureConvexClassifier("alpha", epochs=2, temperature=0.3, random_state=0).fit(x, y)
    clf.save(tmp_path / "model")
    rows = certify(tmp_path / "model", _saved(x, tmp_path / "x.csv"))
    assert rows["predicted_class"].tolist() == clf.predict(x).tolist()


def test_whole_numbers_for_a_model_that_does_not_know_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from featureconvex.models.file import save_model

    net = fc.nn.MaxAffine(3, pieces=2)
    save_model(fc.FeatureConvexModel(fc.features.Identity(), net), tmp_path / "model")
    np.save(tmp_path / "x.npy", np.ones((2, 3), dtype=np.uint8))
    out = tmp_path / "r.csv"
    assert command("certify", tmp_path / "model", tmp_path / "x.npy", "--out", out) == 2
    assert "x.astype(float)" in capsys.readouterr().err
    np.save(tmp_path / "x.npy", np.ones((2, 3)))
    assert command("certify", tmp_path / "model", tmp_path / "x.npy", "--out", out) == 0


@pytest.mark.usefixtures("undrawn")
def test_a_full_disk_leaves_the_last_whole_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The limit on the size of a file stands for a full disk; it allows the probe, not a checkpoint."""
    arguments = ("run", "digits-3-8", "--out", str(tmp_path), "--epochs", "4", *QUICK[2:])
    save, saves = Checkpoint.save, []
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def counting(self: Checkpoint, state: dict) -> None:
        saves.append(state)
        if len(saves) == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
        save(self, state)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save", counting)
        try:
            assert command(*arguments) == 2
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    shown = capsys.readouterr().err
    assert "cannot write the checkpoint" in shown
    assert "free some space" in shown
    left = [path.name for path in (tmp_path / "checkpoints").iterdir()]
    assert left == ["training.pt"]
    content = torch.load(tmp_path / "checkpoints" / "training.pt", weights_only=True)
    assert len(content["state"]["history"]) == 2
    assert command(*arguments) == 0


@pytest.mark.usefixtures("undrawn")
def test_a_full_disk_at_the_report_names_the_command_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = _saved(_noise(60, 30), tmp_path / "t.csv"), tmp_path / "run"
    module = import_module("featureconvex.report.report")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limited(folder: Path) -> list[Path]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, hard))
        return write_report(folder)

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_report", limited)
        try:
            assert command("run", path, "--label", "y", "--out", out, *QUICK) == 2
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert f"`featureconvex report {out}` writes it" in " ".join(capsys.readouterr().err.split())
    assert not (out / "report.html").exists()
    assert command("report", out) == 0
    assert (out / "report.html").exists()


def _noise(n: int, ones: int, columns: dict[str, np.ndarray] | None = None) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    table = pd.DataFrame(rng.normal(size=(n, 3)), columns=["a", "b", "c"])
    label = np.zeros(n, dtype=int)
    label[rng.permutation(n)[:ones]] = 1
    return table.assign(**(columns or {}), y=label)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (_noise(80, 5), "Only 1 test sample of class '1'"),
        (_noise(200, 100), "cannot be told from chance"),
        (_noise(60, 30, {"no": np.arange(60) + 7}), "'no' looks like an index or an id"),
        (
            _noise(60, 30).assign(z=lambda table: 3 * table.y + 1),
            "The column 'z' has one number for each class, so it alone tells the label",
        ),
        (
            _noise(60, 30).assign(z=lambda table: table.b, w=lambda table: table.b),
            "Columns are equal in every row: 'b' and 'z', 'b' and 'w'. Whoever",
        ),
        (
            pd.concat([_noise(40, 20)] * 3),
            "test samples are exact duplicates of training samples",
        ),
    ],
    ids=["tiny class", "random labels", "an index", "label", "twins", "duplicates"],
)
@pytest.mark.usefixtures("undrawn")
def test_a_report_warns_of_itself(
    table: pd.DataFrame, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = _saved(table, tmp_path / "t.csv"), tmp_path / "run"
    assert command("run", path, "--label", "y", "--out", out, *QUICK) == 0
    shown = " ".join(capsys.readouterr().err.split())
    assert words in shown
    metrics = json.loads((out / "metrics.json").read_text())
    assert any(words in sentence for sentence in metrics["warnings"])
    page = (out / "report.html").read_text(encoding="utf-8")
    assert page.index("Before you trust these numbers") < page.index('id="headline"')
    assert "Of 1 sensitive test samples" not in page


@pytest.mark.usefixtures("undrawn")
def test_a_sound_run_has_no_warnings(tmp_path: Path) -> None:
    assert command("run", "breast-cancer", "--out", tmp_path, *QUICK) == 0
    assert json.loads((tmp_path / "metrics.json").read_text())["warnings"] == []
    assert "Before you trust" not in (tmp_path / "report.html").read_text(encoding="utf-8")
