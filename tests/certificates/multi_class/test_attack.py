"""Attacks on models of several classes: they flip, cost what they say, and are exact for affine scores."""

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from tests.certificates.multi_class.scores import D, model_of, points

import featureconvex as fc
from featureconvex.norms import dual_exponent, vector_norm
from featureconvex.progress import Ticker


@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_affine_scores_are_left_by_the_nearest_way(p: float, dtype: torch.dtype) -> None:
    model, x = model_of("identity", "affine", dtype=dtype), points(15, dtype=dtype)
    eye = torch.cat((torch.zeros(1, D), torch.eye(D))).to(dtype)
    with torch.no_grad():
        weights = (model(eye)[1:] - model(eye)[0]).T
    with torch.no_grad():
        scores = model(x)
    k = scores.argmax(1)
    gaps = scores.gather(1, k[:, None]) - scores
    steep = vector_norm((weights[k][:, None] - weights).flatten(0, 1), dual_exponent(p)).view(15, 4)
    exact = (gaps / steep).nan_to_num(torch.inf).amin(1)
    result = fc.attack(model, x, fc.Lp(p))
    assert result.found.all()
    np.testing.assert_allclose(result.distance, exact, rtol=2e-2)
    assert (result.distance >= exact.numpy() * (1 - 1e-5)).all()


@pytest.mark.parametrize("name", ["identity", "absolute", "orthogonal", "distances"])
def test_what_is_found_is_another_class_and_no_certificate_reaches_it(name: str) -> None:
    model, x = model_of(name, "mlp"), points(12 if name == "absolute" else 5)
    box, threat = fc.Box(0, 1), fc.Lp(2)
    result = fc.attack(model, x, threat, box, steps=15)
    with torch.no_grad():
        before, after = (
            model(z).argmax(1).numpy() for z in (x, torch.from_numpy(result.adversarial))
        )
    found = result.found
    assert (before != after)[found & (result.margin < 0)].all()
    assert (before == after)[~found].all()
    assert (result.adversarial >= 0).all()
    assert (result.adversarial <= 1).all()
    for level in ("closed-form", "domain", "tight"):
        radius = fc.certify_classes(model, x, threat, box, level).radius
        assert (radius <= np.where(found, result.distance, np.inf)).all()
    cost = vector_norm(torch.from_numpy(result.adversarial) - x, 2.0).numpy()
    np.testing.assert_allclose(cost[found], result.distance[found], rtol=1e-12)


def test_budgets_counts_and_edges() -> None:
    model, x = model_of("identity", "mlp", classes=3), points(6)
    free = fc.attack(model, x, fc.Lp(2), fc.Box(0, 1), steps=20)
    assert free.found.sum() >= 2
    row = int(np.nanargmax(free.distance))
    half = fc.attack(model, x, fc.Lp(2), fc.Box(0, 1), steps=20, budget=free.distance[row] / 3)
    assert not half.found[row]
    assert half.found[np.nan_to_num(free.distance, nan=9) <= free.distance[row] / 3].all()
    changed = fc.attack(model, x, fc.L0(), fc.Box(0, 1), steps=5)
    assert set(changed.distance[changed.found]) <= {1.0, 2.0, 3.0, 4.0}
    x[0, 0], x[1, 0] = math.nan, 3.0
    odd = fc.attack(model, x, fc.Lp(2), fc.Box(0, 1), steps=20)
    assert not odd.found[:2].any()
    np.testing.assert_array_equal(odd.found[2:], free.found[2:])
    assert not len(fc.attack(model, x[:0]))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_foolbox_agrees() -> None:
    model, x = model_of("identity", "affine", dtype=torch.float32), points(3, dtype=torch.float32)
    ours = fc.attack(model, x, fc.Lp(2), fc.Box(-4, 4))
    theirs = fc.attack(model, x, fc.Lp(2), fc.Box(-4, 4), method="foolbox")
    assert theirs.found.all()
    np.testing.assert_allclose(ours.distance, theirs.distance, rtol=0.1)


@pytest.mark.parametrize("several", [True, False])
@pytest.mark.parametrize("budget", [None, 0.5])
def test_a_bar_ends_where_its_work_does(
    several: bool, budget: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, totals = [], []

    @contextmanager
    def bar(title: str, total: int, enabled: bool) -> Iterator[Ticker]:
        assert (title, enabled) == ("attack", True)
        totals.append(total)

        def tick(advance: int, words: str) -> None:
            del words
            done.append(advance)

        yield tick

    module = sys.modules[fc.attack.__module__]  # the package has a function of that name
    monkeypatch.setattr(module, "progress_bar", bar)
    model, x = model_of("identity", "mlp", classes=3), points(9)
    x[0, 0] = math.nan
    one = model if several else model.members()[0]
    found = fc.attack(one, x, fc.Lp(2), steps=3, budget=budget, progress=True)
    assert sum(done) == totals[0] == 9 * (2 if several else 1)
    monkeypatch.undo()
    quiet = fc.attack(one, x, fc.Lp(2), steps=3, budget=budget)
    np.testing.assert_array_equal(found.adversarial, quiet.adversarial)
