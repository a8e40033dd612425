"""Plots of files: what appended and changed bytes really do to them, and what is certified."""

import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import featureconvex as fc
from featureconvex import cli
from featureconvex.data.files.byte_plot import BytePlot
from featureconvex.data.files.representation import representation
from featureconvex.detector import Detector
from featureconvex.errors import UserError
from featureconvex.experiment.certifying.plots import OnPlot, Plots
from featureconvex.experiment.certifying.slack import certify_slack_of_plots
from featureconvex.features import AbsConcat, Compose, Identity, MaxMin, NonexpansiveLinear, Scale
from featureconvex.nn import ConvexMLP, MaxAffine

FORMS = (BytePlot(24), BytePlot(8, 4), BytePlot(5, 7))
Bytes = np.ndarray


def command(*arguments: object) -> int:
    with pytest.raises(SystemExit) as done:
        cli.main([str(argument) for argument in arguments])
    return int(done.value.code or 0)


def files(rng: np.random.Generator, count: int, longest: int) -> list[Bytes]:
    sizes = rng.integers(1, longest, count)
    return [rng.choice([0, 3, 77, 255], size).astype(np.uint8) for size in sizes]


def a_model(form: BytePlot, phi: str, x: np.ndarray, dtype: torch.dtype) -> fc.FeatureConvexModel:
    torch.manual_seed(0)
    features = {
        "identity": Identity(),
        "absolute": Compose(Scale(1.0, -0.3), AbsConcat()),
        "learned": Compose(NonexpansiveLinear(form.values, 8), MaxMin()),
    }[phi]
    rows = torch.from_numpy(x).float()
    model = fc.FeatureConvexModel(features, ConvexMLP(features(rows[:1]).shape[1], (8, 4))).eval()
    model = model.to(dtype)
    with torch.no_grad():
        margins = model(rows.to(dtype))
        model.tau += margins.std() / 2 - margins.median()
    return model


def plots(form: BytePlot, contents: list[Bytes], model: fc.FeatureConvexModel, level: str) -> Plots:
    x = np.array([form(content) for content in contents])
    return Plots(model, form, x, np.array([len(c) for c in contents]), level)


@given(
    content=st.binary(min_size=1, max_size=30),
    tail=st.binary(max_size=30),
    shape=st.tuples(st.integers(1, 8), st.integers(1, 5)),
    single=st.booleans(),
)
def test_appended_bytes_stay_in_their_box(
    content: bytes, tail: bytes, shape: tuple[int, int], single: bool
) -> None:
    """In float32, too: values never fall, and rise by at most what the free bytes of a window can do."""
    form = BytePlot(*shape)
    before, more = (np.frombuffer(part, dtype=np.uint8) for part in (content, tail))
    model = fc.FeatureConvexModel(Identity(), MaxAffine(form.values, 2))
    model = model.to(torch.float32 if single else torch.float64)
    asked = plots(form, [before], model, "domain")
    free = form.within(asked.sizes, asked.sizes + len(tail))
    domain = asked.box(asked.x, form.sums(asked.x) + 255 * free, np.array([0]))
    after = torch.from_numpy(form(np.concatenate((before, more))))[None].to(model.dtype)
    assert domain.contains(after).all()
    worst = np.concatenate((before, np.full(len(tail), 255, dtype=np.uint8)))
    top = torch.from_numpy(form(worst))[None].to(model.dtype)
    assert (domain.bounds(top)[1] == top).all()


@pytest.mark.parametrize(
    ("level", "phi", "form"),
    [
        *itertools.product(["domain", "sound"], ["identity", "absolute", "learned"], FORMS),
        ("tight", "identity", FORMS[1]),
        ("tight", "learned", FORMS[1]),
    ],
    ids=str,
)
def test_no_certified_file_is_flipped(form: BytePlot, phi: str, level: str) -> None:
    rng = np.random.default_rng(2)
    contents = files(rng, 30, 1 + form.length * 3 // 2)
    dtype = torch.float32 if form is FORMS[2] else torch.float64
    x = np.array([form(content) for content in contents])
    model = a_model(form, phi, x, dtype)
    asked = plots(form, contents, model, level)
    found = {name: asked.certify(OnPlot(name)).radius for name in ("append", "change")}
    assert (found["append"] > 0).any()
    tried = []
    for place, content in enumerate(contents):
        k = int(min(found["append"][place], form.length + 3))
        for byte in [*range(0, 256, 15), None] if k else []:
            tail = rng.integers(0, 256, k) if byte is None else np.full(k, byte)
            if byte is not None and byte % 2:
                tail[: rng.integers(0, k)] = 0
            tried.append(np.concatenate((content, tail.astype(np.uint8))))
        k = int(min(found["change"][place], len(content)))
        for byte in range(0, 256, 15) if k else []:
            changed = content.copy()
            changed[rng.permutation(len(content))[:k]] = byte
            tried.append(changed)
    assert len(tried) > 100
    rows = torch.from_numpy(np.array([form(content) for content in tried])).to(dtype)
    assert (model(rows) > 0).all()
    for name, size in itertools.product(found, (1, 3)):
        of_size = asked.certify(OnPlot(name, size)).radius
        assert (of_size[of_size > 0] >= size).all()
        assert ((of_size > 0) >= (found[name] >= size)).all()


def test_exact_for_linear_models() -> None:
    """Appended bytes: every position with a negative weight is worth its weight."""
    rng, form = np.random.default_rng(0), BytePlot(12)
    for _ in range(20):
        net = MaxAffine(12, pieces=1).double()
        model = fc.FeatureConvexModel(Identity(), net).double().eval()
        content = rng.integers(0, 256, int(rng.integers(1, 10))).astype(np.uint8)
        asked = plots(form, [content], model, "domain")
        w = net.affine.weight.detach()[0].numpy()
        net.affine.bias.data.fill_(float(0.8 - w @ asked.x[0]))
        falls = np.cumsum(np.maximum(-w[len(content) :], 0))
        truth = np.inf if falls[-1] < 0.8 else float((falls < 0.8).sum())
        assert asked.certify(OnPlot("append")).radius[0] == truth
        room = np.where(w > 0, asked.x[0], 1 - asked.x[0])[: len(content)]
        falls = np.cumsum(np.sort(np.abs(w[: len(content)]) * room)[::-1])
        truth = np.inf if falls[-1] < 0.8 else float((falls < 0.8).sum())
        assert asked.certify(OnPlot("change")).radius[0] == truth


def with_slack(
    tmp_path: Path, contents: list[Bytes], asked: Plots, rng: np.random.Generator
) -> tuple[fc.Certificate, list[list[tuple[int, int]]]]:
    paths, runs = [], []
    for place, content in enumerate(contents):
        paths.append(tmp_path / f"{place}.bin")
        paths[-1].write_bytes(content.tobytes())
        starts = rng.integers(0, len(content), int(rng.integers(0, 3)))
        runs.append([(int(s), min(int(s + rng.integers(1, 4)), len(content))) for s in starts])
    found, errors = certify_slack_of_plots(asked, paths, runs)
    assert not any(errors)
    return found, runs


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize(("level", "phi"), [("domain", "absolute"), ("sound", "learned")])
def test_slack_filled_with_anything_flips_no_certified_file(
    form: BytePlot, level: str, phi: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(4)
    contents = files(rng, 40, 1 + form.length * 3 // 2)
    x = np.array([form(content) for content in contents])
    dtype = torch.float32 if form is FORMS[2] else torch.float64
    model = a_model(form, phi, x, dtype)
    found, runs = with_slack(tmp_path, contents, plots(form, contents, model, level), rng)
    tried, some = [], 0
    for place, content in enumerate(contents):
        own = found.radius[place]
        slack = sorted({at for first, end in runs[place] for at in range(first, end)})
        flagged = found.margin[place] > 0
        assert own in (0, len({*slack}) or np.inf, sum(e - f for f, e in runs[place]))
        assert (own == np.inf) == (not slack and bool(flagged))
        some += bool(0 < own < np.inf)
        for byte in [*range(0, 256, 51), None] if 0 < own < np.inf else []:
            changed = content.copy()
            changed[slack] = rng.integers(0, 256, len(slack)) if byte is None else byte
            tried.append(changed)
            half = changed.copy()
            half[slack[::2]] = 0 if byte is None else 255 - byte
            tried.append(half)
    assert some > 1
    rows = torch.from_numpy(np.array([form(content) for content in tried])).to(dtype)
    assert (model(rows) > 0).all()


def test_slack_of_linear_models_is_exact(tmp_path: Path) -> None:
    torch.manual_seed(0)
    rng, form, answers = np.random.default_rng(1), BytePlot(6, 2), []
    for trial in range(30):
        net = MaxAffine(6, pieces=1).double()
        model = fc.FeatureConvexModel(Identity(), net).double().eval()
        content = rng.integers(0, 256, 11).astype(np.uint8)
        asked = plots(form, [content], model, "domain")
        w = net.affine.weight.detach()[0].numpy()
        net.affine.bias.data.fill_(float(0.3 - w @ asked.x[0]))
        first = int(rng.integers(0, 8))
        path = tmp_path / f"{trial}.bin"
        path.write_bytes(content.tobytes())
        found, _ = certify_slack_of_plots(asked, [path], [[(first, first + 3)]])
        worst = content.copy()
        for at in range(first, first + 3):
            worst[at] = 255 if w[at // 2] < 0 else 0
        truth = 3.0 if w @ (form(worst) - asked.x[0]) + 0.3 > 0 else 0.0
        assert found.radius[0] == truth
        answers.append(truth)
    assert set(answers) == {0.0, 3.0}


def test_slack_beyond_the_file_is_unreadable(tmp_path: Path) -> None:
    form = BytePlot(4)
    model = fc.FeatureConvexModel(Identity(), MaxAffine(4, 2)).double().eval()
    model.tau += 100
    contents = [np.array([1, 2], dtype=np.uint8)] * 2
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"\x01\x02")
    asked = plots(form, contents, model, "domain")
    paths = [tmp_path / "a", tmp_path / "b"]
    found, errors = certify_slack_of_plots(asked, paths, [[(1, 2)], [(1, 3)]])
    assert found.status.tolist() == ["certified", "unreadable"]
    assert found.radius.tolist() == [1.0, 0.0]
    assert "beyond the end of a file of 2 bytes" in str(errors[1])


def test_planted_faults_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    within = BytePlot.within
    monkeypatch.setattr(BytePlot, "within", lambda self, first, end: within(self, first, end - 1))
    with pytest.raises(AssertionError):
        test_exact_for_linear_models()


def test_slack_that_never_rises_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Plots.between
    monkeypatch.setattr(Plots, "between", lambda self, less, more: honest(self, less, more * 0))
    with pytest.raises(AssertionError):
        test_slack_of_linear_models_is_exact(tmp_path)


@pytest.mark.usefixtures("undrawn")
def test_from_training_to_certificates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng, out, table = np.random.default_rng(0), tmp_path / "run", tmp_path / "rows.csv"
    for kind, low in (("bad", 120), ("good", 0)):
        (tmp_path / "files" / kind).mkdir(parents=True)
        for number in range(20):
            content = rng.integers(low, low + 130, int(rng.integers(20, 90))).astype(np.uint8)
            (tmp_path / "files" / kind / f"{number}.png").write_bytes(content.tobytes())
    options = ("--sensitive", "bad", "--epochs", 3, "--temperature", 0.5, "--bytes", "plot:16:4")
    assert command("run", tmp_path / "files", "--out", out, *options) == 0
    suspects = tmp_path / "files" / "bad"
    asked = ("--norm", 2, "--threat", "append", "--threat", "append:9", "--threat", "change")
    assert command("certify", out, suspects, "--out", table, *asked) == 0
    found = pd.read_csv(table).set_index("row")
    assert (found["radius_append"] > 0).any()
    assert set(found["radius_append-9"]) <= {0.0, 9.0, np.inf}
    detector, form, tried = fc.load(out), BytePlot(16, 4), []
    assert isinstance(detector, Detector)
    for name, radius in found["radius_append"].items():
        content = np.fromfile(suspects / str(name), dtype=np.uint8)
        for byte in range(0, 256, 5) if radius else []:
            tail = np.full(int(min(radius, 64)), byte, dtype=np.uint8)
            tried.append(form(np.concatenate((content, tail))))
    assert (detector.sensitive_margin(np.array(tried)) > 0).all()
    capsys.readouterr()
    slack = tmp_path / "slack.csv"
    (suspects / "dangling.png").symlink_to(tmp_path / "nowhere")
    (suspects / "below").mkdir()
    os.mkfifo(suspects / "pipe.png")
    capsys.readouterr()
    assert command("certify", out, suspects, "--out", table, "--threat", "append") == 0
    again = pd.read_csv(table).set_index("row")
    assert again.loc["dangling.png", "status_append"] == "unreadable"
    assert set(again.index) == {*found.index, "dangling.png"}
    assert "what is no file is left out, such as below" in capsys.readouterr().err
    slack.write_text("file,offset,length\n0.png,3,2\n1.png,300,2\n")
    assert command("certify", out, suspects, "--out", table, "--slack", slack) == 0
    filled = pd.read_csv(table).set_index("row")
    assert filled.loc["1.png", "status_slack"] == "unreadable"
    assert set(filled["radius_slack"]) <= {0.0, 2.0, np.inf}
    capsys.readouterr()
    for wrong, words in (
        (("--threat", "insert"), "inserted bytes shift all that follows"),
        (("--threat", "slack"), "needs to know where it is"),
        (("--threat", "append", "--level", "closed-form"), "does not know where a file ends"),
    ):
        assert command("certify", out, suspects, "--out", table, *wrong) == 2
        assert words in capsys.readouterr().err
    x = np.array([form(np.fromfile(suspects / "0.png", dtype=np.uint8))])
    with pytest.raises(UserError, match="plots of files"):
        fc.certify(detector, x, fc.Append(), level="domain")
    with pytest.raises(UserError, match="plots of files"):
        fc.attack(detector, x, fc.Change())


def test_forms_say_what_they_take() -> None:
    assert BytePlot.named("plot:4").features[-1] == "byte 3"
    assert BytePlot(2, 3).features == ["bytes 0 to 2", "bytes 3 to 5"]
    for wrong in ("plot", "plot:x", "plot:1:2:3", "plot:0", f"plot:{2**21}"):
        with pytest.raises(UserError):
            BytePlot.named(wrong)


@pytest.mark.parametrize("counts", ["plot:8:4", "plot:24", "histogram", "ngrams:2:16"])
def test_slack_in_python_is_that_of_the_command_line(counts: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    form = representation(counts, None)
    contents = files(rng, 12, 60)
    x = np.array([form(content) for content in contents])
    torch.manual_seed(0)
    model = fc.FeatureConvexModel(Identity(), ConvexMLP(x.shape[1], (8, 4))).eval()
    with torch.no_grad():
        margins = model(torch.from_numpy(x).float())
        model.tau += margins.std() / 2 - margins.median()
    inputs = {"kind": "table", "columns": None, "files": "other files", "pixels": None}
    described = {**inputs, "counts": counts, "most_bytes": None}
    extra = {"feature_names": form.features, "input_shape": [x.shape[1]], "inputs": described}
    fc.save_model(model, tmp_path / "model", extra)
    (tmp_path / "f").mkdir()
    paths, slack, rows = [], {}, ["file,offset,length"]
    for place, content in enumerate(contents):
        paths.append(tmp_path / "f" / f"{place:02d}.bin")
        paths[-1].write_bytes(content.tobytes())
        if place % 3 and len(content) > 8:
            slack[f"{place:02d}.bin"] = [(1, 2), (5, 2)]
            rows += [f"{place:02d}.bin,1,2", f"{place:02d}.bin,5,2"]
    (tmp_path / "s.csv").write_text("\n".join(rows) + "\n")
    out = tmp_path / "rows.csv"
    options = ("--slack", tmp_path / "s.csv", "--level", "domain")
    assert command("certify", tmp_path / "model", tmp_path / "f", "--out", out, *options) == 0
    expected = pd.read_csv(out)
    detector = fc.load(tmp_path / "model")
    for given_slack in (slack, tmp_path / "s.csv"):
        found = fc.certify_slack(detector, paths, given_slack)
        np.testing.assert_array_equal(found.radius, expected["radius_slack"])
        assert [str(status) for status in found.status] == expected["status_slack"].tolist()
        assert isinstance(found.threat, fc.Slack)
    assert set(found.radius) & {4.0, np.inf}
    ask: Any = fc.certify_slack
    wrongs: list[tuple[Callable[[], Any], str]] = [
        (lambda: ask(model, paths, slack), "not trained on them"),
        (lambda: ask(detector, paths, slack, "closed-form"), "where slack is"),
        (lambda: ask(detector, paths, {"00.bin": [(0, 999)]}), "beyond the end"),
        (lambda: ask(detector, paths, {"00.bin": [3]}), "pairs"),
        (lambda: ask(detector, paths, {"0.bin": [(0, 1)]}), "no input has that name"),
        (lambda: ask(detector, paths, {"00.bin": [(-1, 3)]}), "offset of the slack"),
        (lambda: ask(detector, [tmp_path / "nix"], {}), "nix"),
        (lambda: ask(detector, paths, 3), "slack is a CSV file"),
    ]
    (tmp_path / "s.csv").write_text("file,offset,length\nf/00.bin,0,1\n")
    assert command("certify", tmp_path / "model", tmp_path / "f", "--out", out, *options) == 2
    for wrong, words in wrongs:
        with pytest.raises(UserError, match=words):
            wrong()
