"""Threats to files, held against what operations on bytes really do to counts."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import featureconvex as fc
from featureconvex.certificates.threats import FileThreat
from featureconvex.certificates.threats.files import threat as module
from featureconvex.data.files.byte_counts import ByteCounts
from featureconvex.errors import UserError
from featureconvex.features import (
    AbsConcat,
    Compose,
    Identity,
    Log1p,
    MaxMin,
    NonexpansiveLinear,
    Scale,
)
from featureconvex.nn import ConvexMLP, MaxAffine
from featureconvex.testing.certificate import balanced

Bytes = np.ndarray
FORMS = (ByteCounts(), ByteCounts(2, 16), ByteCounts(3, 32))
THREATS = (fc.Append, fc.Insert, fc.Change)


def operate(
    kind: type[FileThreat], content: Bytes, k: int, rng: np.random.Generator, alphabet: int
) -> Bytes:
    """k operations at random places, with random bytes or one byte again and again."""
    new = rng.integers(0, alphabet, k).astype(np.uint8)
    if rng.random() < 0.5:
        new[:] = new[:1]
    if kind is fc.Append:
        return np.concatenate((content, new))
    together = rng.random() < 0.5
    start = int(rng.integers(0, len(content)))
    for step, byte in enumerate(new):
        place = (start + step if together else int(rng.integers(0, len(content)))) % len(content)
        if kind is fc.Insert:
            content = np.insert(content, place, byte)
        else:
            content = content.copy()
            content[place] = byte
    return content


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
@pytest.mark.parametrize("kind", THREATS)
def test_an_operation_costs_what_it_is(kind: type[FileThreat], form: ByteCounts) -> None:
    """10,000 files each: so many operations are never measured as more, and often as all."""
    rng, threat = np.random.default_rng(0), kind(form.ngram)
    before, after, used = [], [], []
    for _ in range(10_000):
        alphabet = int(rng.choice([2, 5, 256]))
        content = rng.integers(0, alphabet, int(rng.integers(1, 40))).astype(np.uint8)
        k = int(rng.integers(1, 6))
        before.append(form(content))
        after.append(form(operate(kind, content, k, rng, alphabet)))
        used.append(k)
    delta = torch.from_numpy(np.array(after) - np.array(before))
    needed = threat.measure(delta).numpy()
    assert (needed <= used).all()
    assert (needed == used).mean() > (0.4 if kind is fc.Append or form.ngram == 1 else 0.05)


MAPS: dict[str, Callable[[int], fc.features.FeatureMap]] = {
    "identity": lambda _: Identity(),
    "absolute": lambda d: Compose(Scale(torch.full((d,), 0.5), -1.0), AbsConcat()),
    "log1p": lambda d: Compose(Log1p(), Scale(torch.linspace(0.5, 2.0, d))),
    "learned": lambda d: Compose(Scale(0.3), NonexpansiveLinear(d, 12), MaxMin()),
}


def a_model(form: ByteCounts, phi: str, x: torch.Tensor, seed: int) -> fc.FeatureConvexModel:
    torch.manual_seed(seed)
    features = MAPS[phi](form.buckets)
    width = features(x[:1].float()).shape[1]
    net = ConvexMLP(width, (12, 6))
    model = balanced(fc.FeatureConvexModel(features, net), x.float()).double().eval()
    # Room for a few operations, which move much in a bucket of many n-grams.
    with torch.no_grad():
        model.tau += 3 * model(x.double()).std()
    return model


def contents(rng: np.random.Generator) -> list[Bytes]:
    return [
        rng.choice(256, int(rng.integers(20, 60)), p=rng.dirichlet(np.full(256, 0.05))).astype(
            np.uint8
        )
        for _ in range(24)
    ]


def attacked_by_hand(kind: type[FileThreat], form: ByteCounts, phi: str, level: Any) -> int:
    """No certified file is flipped by as many operations; returns how many files were tried."""
    rng = np.random.default_rng(1)
    files = contents(rng)
    x = torch.from_numpy(np.array([form(content) for content in files]))
    model = a_model(form, phi, x, 0)
    certificate = fc.certify(model, x, kind(form.ngram), level=level)
    sure = certificate.radius > 0
    assert sure.any()
    tried = []
    for content, radius in zip(
        itertools.compress(files, sure), certificate.radius[sure], strict=True
    ):
        k = int(min(radius, 400))
        # Chosen bytes: each alone, again and again, at the end or in the place of the most frequent ones.
        choices = [np.full(k, byte, dtype=np.uint8) for byte in range(0, 256, 5)]
        for new in choices:
            changed = content.copy()
            if kind is fc.Append:
                changed = np.concatenate((content, new))
            elif kind is fc.Insert:
                changed = np.insert(content, rng.integers(0, len(content), k), new)
            else:
                changed[rng.permutation(len(content))[:k]] = new[: len(content)]
            tried.append(form(changed))
        tried += [form(operate(kind, content, k, rng, 256)) for _ in range(20)]
    margin = model(torch.from_numpy(np.array(tried)))
    assert (margin > 0).all()
    found = fc.attack(model, x, kind(form.ngram))
    both = found.found & sure
    assert (found.distance[both] > certificate.radius[both]).all()
    return len(tried)


@pytest.mark.parametrize("phi", MAPS)
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
@pytest.mark.parametrize("kind", THREATS)
def test_no_certified_file_is_flipped(kind: type[FileThreat], form: ByteCounts, phi: str) -> None:
    assert attacked_by_hand(kind, form, phi, "domain") >= 70


@pytest.mark.parametrize("kind", THREATS)
def test_level_tight(kind: type[FileThreat]) -> None:
    assert attacked_by_hand(kind, FORMS[1], "identity", "tight") >= 70


@pytest.mark.parametrize(
    ("kind", "name", "wrong", "form"),
    [
        (fc.Append, "up", 0.2, FORMS[0]),
        (fc.Insert, "up", 0.3, FORMS[1]),
        (fc.Change, "down", 0, FORMS[0]),
    ],
)
def test_planted_faults_are_caught(
    kind: type[FileThreat],
    name: str,
    wrong: float,
    form: ByteCounts,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kind, name, property(lambda _: wrong))
    with pytest.raises(AssertionError):
        test_an_operation_costs_what_it_is(kind, form)


def test_exact_for_linear_models() -> None:
    """The largest k, by hand: append takes the steepest byte, change the best of both."""
    torch.manual_seed(0)
    for _ in range(20):
        net = MaxAffine(6, pieces=1)
        model = fc.FeatureConvexModel(Identity(), net).double().eval()
        w = net.affine.weight.detach()[0].double()
        x = torch.randint(3, 9, (1, 6)).double()
        net.affine.bias.data.fill_(float(2.3 - (w * x).sum()))
        margin = float(model(x).detach())
        fall, rise = float((-w).max().clamp_min(0)), float(w.max().clamp_min(0))
        most = math.ceil(margin / fall) - 1 if fall else math.inf
        assert fc.certify(model, x, fc.Append(), level="domain").radius[0] == most
        counts = fc.certify(model, x, fc.Change(), level="domain").radius[0]
        if rise + fall and margin / (rise + fall) < 3:
            assert counts == math.ceil(margin / (rise + fall)) - 1
        for size in (1, 5):
            found = fc.certify(model, x, fc.Append(size=size), level="domain").radius[0]
            assert found == (size if most >= size else 0) or math.isinf(most)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_reading_a_part_would_break_the_translation(form: ByteCounts) -> None:
    """Why larger files are refused: of the first N bytes an insertion pushes the last one out."""
    rng, most, lost = np.random.default_rng(0), 30, 0
    for _ in range(300):
        content = rng.integers(0, 256, most).astype(np.uint8)
        longer = operate(fc.Insert, content, 1, rng, 256)
        whole = torch.from_numpy(form(longer) - form(content))[None]
        cut = torch.from_numpy(form(longer[:most]) - form(content))[None]
        assert fc.Insert(form.ngram).measure(whole) <= 1
        lost += int(fc.Insert(form.ngram).measure(cut) > 1)
    assert lost > 100


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
@pytest.mark.parametrize("level", ["domain", "sound"])
def test_radii_end_where_a_file_would_be_too_large(form: ByteCounts, level: str) -> None:
    rng = np.random.default_rng(2)
    files = contents(rng)
    x = torch.from_numpy(np.array([form(content) for content in files]))
    sizes = np.array([len(content) for content in files])
    model = a_model(form, "identity", x, 0)
    for kind in THREATS:
        free = fc.certify(model, x, kind(form.ngram), level=level).radius
        capped = fc.certify(model, x, kind(form.ngram, most=50), level=level).radius
        room = np.maximum(50 - sizes, 0) if kind is not fc.Change else np.inf
        np.testing.assert_array_equal(capped, np.minimum(free, room))
        of_size = fc.certify(model, x, kind(form.ngram, 3, 50), level=level).radius
        expected = 3 * (np.minimum(free, room) >= 3)
        np.testing.assert_array_equal(of_size[free < np.inf], expected[free < np.inf])


def test_counts_that_were_rounded_leave_no_more_room() -> None:
    x = torch.zeros(1, 256, dtype=torch.float64)
    x[0, :2] = 2.0**24 + 1
    most = 2**25 + 4
    room = fc.Append(most=most).limited(torch.tensor([torch.inf]).double(), x)
    assert room[0] == 2
    assert fc.Append(most=most).limited(torch.tensor([torch.inf]).double(), x.float())[0] <= 2


def test_what_is_not_known_is_refused() -> None:
    x = torch.ones(2, 256, dtype=torch.float64)
    model = a_model(FORMS[0], "identity", x, 0)
    with pytest.raises(UserError, match="closed-form"):
        fc.certify(model, x, fc.Append())
    with pytest.raises(UserError, match="counts"):
        fc.Append().check((1, 8, 8))
    outside = fc.certify(model, x - 2, fc.Append(), level="domain")
    assert set(outside.status) == {fc.Status.outside_domain}
    assert module.Append(size=3).name == "append-3"


@pytest.mark.parametrize("domain", [fc.Unbounded(), fc.Box(-5, 9)])
@pytest.mark.parametrize("kind", [fc.Insert, fc.Change])
def test_attacks_leave_no_negative_counts(kind: type[FileThreat], domain: Any) -> None:
    """``x_1 + 1`` is negative only where a count is."""
    net = fc.nn.MaxAffine(2, 1).double()
    with torch.no_grad():
        net.affine.weight.copy_(torch.tensor([[-0.001, 1.5]]))
        net.affine.bias.fill_(3.0)
    model = fc.FeatureConvexModel(fc.features.Identity(), net)
    x = torch.tensor([[2.0, 1.0]]).double()
    found = fc.attack(model, x, kind(), domain)
    assert (found.adversarial >= 0).all()
    base, tight = (fc.certify(model, x, kind(), domain, level) for level in ("domain", "tight"))
    assert (tight.radius >= base.radius).all()
    assert not (found.distance <= tight.radius).any()
