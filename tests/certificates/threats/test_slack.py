"""Slack of files that is filled with any bytes, and domains that differ from row to row."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.certificates.threats.test_files import FORMS, a_model, contents
from tests.certificates.threats.test_files_sound import on_the_edge

import featureconvex as fc
from featureconvex.certificates.domain import Gaps
from featureconvex.certificates.threats.files import threat as module
from featureconvex.data.files.byte_counts import ByteCounts
from featureconvex.data.files.slack import joined, read_slack, removable
from featureconvex.errors import UserError
from featureconvex.experiment.certifying.slack import certify_slack
from featureconvex.testing.exact import ExactMargin

Bytes = np.ndarray
Runs = tuple[tuple[int, int], ...]


def some_runs(rng: np.random.Generator, length: int, most: int = 3) -> Runs:
    firsts = rng.integers(0, length, int(rng.integers(1, most + 1)))
    runs = [(int(first), int(min(length, first + rng.integers(1, 7)))) for first in firsts]
    return joined(runs)


def filled(content: Bytes, runs: Runs, rng: np.random.Generator, byte: int | None = None) -> Bytes:
    content = content.copy()
    for first, end in runs:
        content[first:end] = rng.integers(0, 256, end - first) if byte is None else byte
    return content


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_filling_costs_what_it_is(form: ByteCounts) -> None:
    """Really filled: never more goes than was counted, no more than k bytes is measured, often all."""
    rng, all_of_it = np.random.default_rng(0), 0
    for _ in range(3000):
        content = rng.choice([0, 1, 7, 200], int(rng.integers(1, 40))).astype(np.uint8)
        runs = some_runs(rng, len(content))
        going = removable(content, runs, form)
        delta = form(filled(content, runs, rng)) - form(content)
        assert (delta >= -going).all()
        size = sum(end - first for first, end in runs)
        once = len(runs) * (form.ngram - 1)
        assert going.sum() <= size + once
        needed = fc.Slack(form.ngram, len(runs)).measure(torch.from_numpy(delta)[None])
        assert needed <= size
        all_of_it += int(needed == size)
    assert all_of_it > 30


def to_files(tmp_path: Path, files: list[Bytes]) -> list[Path]:
    paths = [tmp_path / f"{number}.bin" for number in range(len(files))]
    for path, content in zip(paths, files, strict=True):
        path.write_bytes(content.tobytes())
    return paths


@pytest.mark.parametrize("level", ["domain", "sound"])
@pytest.mark.parametrize("phi", ["identity", "absolute", "learned"])
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_no_certified_file_is_flipped(
    form: ByteCounts, phi: str, level: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(1)
    files = contents(rng)
    x = np.array([form(content) for content in files])
    model = a_model(form, phi, torch.from_numpy(x), 0)
    if phi == "learned":
        # Constants say little where a map mixes all counts.
        with torch.no_grad():
            model.tau += 30 * model(torch.from_numpy(x)).std()
    runs = [() if k % 8 == 0 else some_runs(rng, len(files[k]), 2) for k in range(len(files))]
    found, errors = certify_slack(model, x, to_files(tmp_path, files), runs, form, level)
    assert errors == [None] * len(files)
    tried, sure = [], 0
    for content, own, radius in zip(files, runs, found.radius, strict=True):
        if not own:
            assert radius in (0, np.inf)
            continue
        size = sum(end - first for first, end in own)
        assert radius in (0, size)
        if radius:
            sure += 1
            bytes_ = [None] * 20 + list(range(0, 256, 4))
            tried += [form(filled(content, own, rng, byte)) for byte in bytes_]
    assert sure
    assert (model(torch.from_numpy(np.array(tried))) > 0).all()


def test_level_tight_and_attacks() -> None:
    rng, form = np.random.default_rng(1), FORMS[1]
    x = torch.from_numpy(np.array([form(content) for content in contents(rng)[:10]]))
    model, threat = a_model(form, "identity", x, 0), fc.Slack(form.ngram, 2)
    held = fc.Box.per_row((x - 2).clamp_min(0), torch.full_like(x, torch.inf))
    base, tight = (fc.certify(model, x, threat, held, name) for name in ("domain", "tight"))
    assert (tight.radius >= base.radius).all()
    assert (base.radius > 0).any()
    for domain in (held, fc.Unbounded()):
        radius = fc.certify(model, x, threat, domain, "tight").radius
        found = fc.attack(model, x, threat, domain)
        both = found.found & (radius > 0)
        assert (found.distance[both] > radius[both]).all()
    assert both.any()
    with pytest.raises(UserError, match="closed-form"):
        fc.certify(model, x, threat)


def never_above(n: int, runs: int, seed: int) -> None:
    """Every change that at most 3 bytes in so many runs can make, in rational numbers."""
    threat = fc.Slack(n, runs)
    model, x, _ = on_the_edge("identity", fc.Change(), 2, seed)
    radius = float(fc.certify(model, x, threat, level="sound").radius[0])
    if not radius:
        return
    exact = ExactMargin(model)
    most = 2 + threat.once
    every = torch.tensor(list(itertools.product(range(-most, most + 1), repeat=3))).double()
    needed = threat.measure(every)
    fits = (needed <= min(radius, 2)) & (x + every >= 0).all(1)
    assert all(exact(x[0] + row) > 0 for row in every[fits])


@pytest.mark.parametrize(("n", "runs"), [(1, 1), (2, 1), (2, 2)])
@given(seed=st.integers(0, 10**6))
def test_never_above_the_truth(n: int, runs: int, seed: int) -> None:
    never_above(n, runs, seed)


def test_the_once_only_part_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.Slack, "once", property(lambda _: 0))
    with pytest.raises(AssertionError):
        test_filling_costs_what_it_is(FORMS[1])


def test_what_is_known_to_go_helps() -> None:
    """Slack of bytes that count for nothing: only what is written there matters."""
    rng = np.random.default_rng(0)
    form = ByteCounts()
    x = torch.from_numpy(np.array([form(content) for content in contents(rng)]))
    model = a_model(form, "identity", x, 0)
    free = fc.certify(model, x, fc.Slack(), level="domain").radius
    held = fc.Box.per_row(x, torch.full_like(x, torch.inf))
    assert (fc.certify(model, x, fc.Slack(), held, "domain").radius >= free).all()
    append = fc.certify(model, x, fc.Append(), level="domain").radius
    np.testing.assert_array_equal(fc.certify(model, x, fc.Slack(), held, "domain").radius, append)


def test_slack_is_read_from_a_table(tmp_path: Path) -> None:
    path = tmp_path / "slack.csv"
    path.write_text('length,file,offset\n4,"a, b",0x10\n2,a,1\n3,"a, b",18\n', encoding="utf-8-sig")
    assert read_slack(path) == {"a, b": ((16, 21),), "a": ((1, 3),)}
    for text, words in (
        ("file,offset\na,1\n", "needs the columns"),
        ("file,offset,length\na,1,x\n", "whole number of bytes"),
        ("file,offset,length\na,-1,3\n", "whole number of bytes"),
        ("file,offset,length\n,1,3\n", "no file is named"),
        ("", "needs the columns"),
    ):
        path.write_text(text)
        with pytest.raises(UserError, match=words):
            read_slack(path)
    with pytest.raises(UserError, match="cannot read"):
        read_slack(tmp_path / "gone.csv")


# Rows with boxes of their own.


def boxes(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(3)
    lo, hi = x - torch.from_numpy(rng.integers(0, 4, x.shape)), x + 1
    hi[::3], hi[1::3] = torch.inf, x[1::3]
    lo[5] = lo[5] + 100 * (lo[5] > 3)
    return lo, torch.maximum(lo, hi)


@pytest.mark.parametrize("phi", ["identity", "absolute", "learned"])
@pytest.mark.parametrize("level", ["domain", "tight", "sound"])
def test_boxes_of_rows_are_those_of_single_rows(level: str, phi: str) -> None:
    """Whatever a level does with rows, each keeps its own box."""
    form, tight = ByteCounts(2, 16), level == "tight"
    files = contents(np.random.default_rng(3))[: 6 if tight else None]
    x = torch.from_numpy(np.array([form(content) for content in files]))
    model = a_model(form, phi, x, 2)
    lo, hi = boxes(x)
    threats: list[fc.Threat] = [fc.Lp(2), fc.Change()] if tight else [fc.Lp(2), fc.Lp(1), fc.L0()]
    chosen = fc.levels.Tight(iterations=3) if tight else level
    whole = fc.certify(model, x, threats, fc.Box.per_row(lo, hi), chosen, batch_size=4)
    for k in (0, 4) if tight else range(0, len(x), 2):
        alone = fc.certify(model, x[k : k + 1], threats, fc.Box(lo[k], hi[k]), chosen)
        for mine, own in zip(whole, alone, strict=True):
            # Where level tight stops depends on the rows of the batch.
            share = 0.2 if tight else 1e-6
            np.testing.assert_allclose(mine.radius[k], own.radius[0], rtol=share)
            assert mine.status[k] == own.status[0]
    found = fc.attack(model, x, fc.Lp(2), fc.Box.per_row(lo, hi), steps=10)
    moved = torch.from_numpy(found.adversarial)[found.found]
    assert ((moved >= lo[found.found]) & (moved <= hi[found.found])).all()


def test_boxes_of_rows_say_what_they_need() -> None:
    x = torch.ones(3, 4)
    model = fc.FeatureConvexModel(fc.features.Identity(), fc.nn.MaxAffine(4, 2)).eval()
    five = fc.Box.per_row(torch.zeros(5, 4), torch.ones(5, 4))
    for domain in (five, Gaps(five, [(0, 1)])):
        with pytest.raises(UserError, match="boxes for 5 rows"):
            fc.certify(model, x, fc.Lp(2), domain, "domain")
        with pytest.raises(UserError, match="boxes for 5 rows"):
            fc.attack(model, x, fc.Lp(2), domain)
    with pytest.raises(UserError, match="inputs have shape"):
        five.bounds(x)
    with pytest.raises(UserError, match="lo <= hi"):
        fc.Box.per_row(torch.ones(2, 3), torch.zeros(2, 3))
    with pytest.raises(UserError, match="shape of all inputs"):
        fc.Box.per_row(0, 1)
