"""Plots of files: what appended and changed bytes really do to them, and what is certified."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import featureconvex as fc
from featureconvex import cli
from featureconvex.data.files.byte_plot import BytePlot
from featureconvex.detector import Detector
from featureconvex.errors import UserError
from featureconvex.experiment.certifying.plots import OnPlot, Plots
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


def test_planted_faults_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    within = BytePlot.within
    monkeypatch.setattr(BytePlot, "within", lambda self, first, end: within(self, first, end - 1))
    with pytest.raises(AssertionError):
        test_exact_for_linear_models()


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
    slack.write_text("file,offset,length\n")
    for wrong, words in (
        (("--threat", "insert"), "inserted bytes shift all that follows"),
        (("--slack", slack), "counts of bytes or n-grams only"),
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
