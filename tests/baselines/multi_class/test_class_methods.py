"""Every method for several classes: attacks, closed formulas, noise counted anew, files."""

import copy
import functools
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import beta
from sklearn.datasets import load_digits
from torch import Tensor

import featureconvex as fc
from featureconvex.baselines.answers import checked_facts, radii_of
from featureconvex.baselines.description import Description, settings_of
from featureconvex.baselines.method import Setting
from featureconvex.baselines.multi_class.feature_convex import FeatureConvexClasses
from featureconvex.baselines.multi_class.method import ClassMethod, ClassOptions, classes_of
from featureconvex.baselines.multi_class.nonexpansive import CayleyClasses, LinearClasses
from featureconvex.baselines.multi_class.registry import (
    CLASS_METHODS,
    find_class_methods,
    register_class_method,
)
from featureconvex.baselines.multi_class.scores import ScoreMethod
from featureconvex.baselines.multi_class.smoothing import SmoothingClasses
from featureconvex.baselines.registry import METHODS
from featureconvex.certificates import Domain, Guarantee
from featureconvex.detector import ClassDetector
from featureconvex.errors import UserError
from featureconvex.training.points import Points

KINDS = 3
SAMPLES = 1000
EVERYWHERE, IMAGES = fc.Unbounded(), fc.Box(0, 1)
SCORES = [kind for kind in CLASS_METHODS.values() if issubclass(kind, ScoreMethod)]


@functools.cache
def points() -> tuple[Points, Points, Points]:
    """0, 1 and 2 of scikit-learn's digits: 240 to fit, 60 to validate, 24 to test."""
    data = load_digits()
    chosen = data.target < KINDS
    x = torch.tensor(data.images[chosen] / 16, dtype=torch.float32)[:, None]
    y = torch.tensor(data.target[chosen]).long()
    parts = (slice(0, 240), slice(240, 300), slice(300, 324))
    fitting, validation, test = (Points(x[part], y[part]) for part in parts)
    return fitting, validation, test


def options(epochs: int = 3) -> ClassOptions:
    return ClassOptions(
        shape=(1, 8, 8), task="digits", epochs=epochs, samples=SAMPLES, classes=KINDS
    )


@functools.cache
def fitted(kind: type[ClassMethod]) -> ClassMethod:
    """At its last setting, which is for radius; smoothing at its first."""
    epochs = 3 if issubclass(kind, ScoreMethod) else 40
    method = kind(options(epochs), settings_of(kind, options())[0 if epochs > 3 else -1])
    facts = checked_facts(method, method.fit(*points()[:2]))
    assert facts["train_accuracy"] > 0.7
    return method


def around(x: Tensor, p: float, count: int) -> Tensor:
    """(count, *shape) of norm just below 1."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn((count, *x.shape), generator=generator)
    noise = torch.cat((noise[::2], noise[1::2] ** 5))
    length: Tensor = torch.linalg.vector_norm(noise.flatten(1), p, dim=1)
    return noise * ((1 - 1e-4) / length.view(-1, *[1] * x.ndim))


@pytest.mark.parametrize("kind", CLASS_METHODS.values(), ids=list(CLASS_METHODS))
def test_it_learns_describes_itself_and_comes_back_from_its_file(
    kind: type[ClassMethod], tmp_path: Path
) -> None:
    method, test = fitted(kind), points()[2]
    described = Description.of(kind)
    assert Description.from_table(kind.name, described.to_table()) == described
    assert kind.name in METHODS
    predicted = classes_of(method, test.x)
    assert (predicted == test.y.numpy()).mean() > 0.7
    method.save(tmp_path / "model")
    again = kind(options(), method.setting)
    again.load(tmp_path / "model")
    assert (again.predict(test.x) == predicted).all()
    level = next(iter(kind.levels))
    before, after = (radii_of(one, test.x[:6], level) for one in (method, again))
    for p, radius in before.items():
        assert (radius > 0).any()
        np.testing.assert_allclose(after[p], radius, rtol=1e-6)


@functools.cache
def attacked(kind: type[ClassMethod], rows: int, p: float, domain: Domain) -> fc.AttackResult:
    """One attack for all levels that hold in a domain."""
    method = fitted(kind)
    assert isinstance(method, ScoreMethod)
    return fc.attack(method.trained(), points()[2].x[:rows], fc.Lp(p), domain, steps=20)


def violated(method: ScoreMethod, x: Tensor, level: str, factor: float = 1.0) -> list[float]:
    """The norms in which an attack succeeds inside a radius times a factor."""
    domain = EVERYWHERE if level in ("certified", "closed-form") else IMAGES
    wrong = []
    for p, radius in radii_of(method, x, level).items():
        attack = attacked(type(method), len(x), p, domain)
        assert attack.found.any()
        if (attack.distance[attack.found] < factor * radius[attack.found]).any():
            wrong.append(p)
    return wrong


@pytest.mark.parametrize("kind", SCORES, ids=lambda kind: kind.name)
def test_no_attack_succeeds_inside_a_radius(kind: type[ScoreMethod]) -> None:
    method, x = fitted(kind), points()[2].x[:4]
    assert isinstance(method, ScoreMethod)
    for level in kind.levels:
        if level != "domain" or method.trained().feature_map.coordinatewise:
            assert violated(method, x, level) == [], level


def test_a_radius_that_is_a_hundredth_too_large_is_found() -> None:
    method = fitted(LinearClasses)
    assert isinstance(method, ScoreMethod)
    assert violated(method, points()[2].x[:4], "certified", 1.01) == [1.0, 2.0, math.inf]


def test_smoothed_predictions_hold_inside_a_radius() -> None:
    method, x = fitted(SmoothingClasses), points()[2].x[:8]
    radius, predicted = method.certify(x, "certified")[2.0], method.predict(x)
    assert (radius > 0).sum() >= 4
    for row in np.flatnonzero(radius > 0):
        moved = x[row] + radius[row] * around(x[row], 2, 10)
        assert (method.predict(moved) == predicted[row]).all()


def test_smoothed_radii_are_those_of_the_votes() -> None:
    """Noise drawn anew agrees with the bound."""
    method, x = fitted(SmoothingClasses), points()[2].x[:6]
    assert isinstance(method, SmoothingClasses)
    predicted, radius = method.predict(x), method.certify(x, "certified")[2.0]
    generator = torch.Generator().manual_seed(5)
    shares = []
    for row, point in enumerate(x):
        with torch.no_grad():
            noise = method.noise.sample((4000, *point.shape), generator)
            votes = method.network(point + noise).argmax(1).bincount(minlength=KINDS)
        assert votes.argmax() == predicted[row]
        shares.append(float(votes.max()) / 4000)
    # Exactly as many votes as the shares say, and four standard errors more and less.
    for share, own in zip(shares, radius, strict=True):
        slack = 4 * math.sqrt(share * (1 - share) / SAMPLES) + 2e-3
        low, high = (_radius(share + sign * slack, method.noise.sigma) for sign in (-1, 1))
        assert low <= own <= high
    # Of equal scores the first: all copies agree, and the bound is known.
    constant = copy.deepcopy(method)
    with torch.no_grad():
        for weight in constant.network.head.parameters():
            weight.zero_()
    assert (constant.predict(x) == 0).all()
    agreed = method.noise.sigma * float(ndtri(0.001 ** (1 / SAMPLES)))
    np.testing.assert_allclose(constant.certify(x, "certified")[2.0], agreed, rtol=1e-6)


def _radius(share: float, sigma: float) -> float:
    count = int(np.clip(round(share * SAMPLES), 1, SAMPLES))
    bound = float(beta.ppf(0.001, count, SAMPLES - count + 1))
    return sigma * float(ndtri(bound)) if bound > 0.5 else 0.0


def nearest_border(w: NDArray[np.float64], scores: NDArray[np.float64], q: float) -> float:
    """The closed formula of one point: ``min_j (f_k - f_j) / ||w_k - w_j||_q``."""
    k = int(scores.argmax())
    others = [j for j in range(len(scores)) if j != k]
    return min(float((scores[k] - scores[j]) / np.linalg.norm(w[k] - w[j], q)) for j in others)


@pytest.mark.parametrize("kind", [LinearClasses, CayleyClasses], ids=["linear", "cayley"])
def test_affine_scores_have_the_closed_formula(kind: type[ScoreMethod]) -> None:
    method, x = fitted(kind), points()[2].x
    assert isinstance(method, ScoreMethod)
    model = method.trained()
    with torch.no_grad():
        heads = [dict(part.convex_net.named_parameters()) for part in model.members()]
        w = torch.cat([head["input_layers.0.weight"] for head in heads])
        scores = model(x).numpy()
    for p, radius in method.certify(x, "certified").items():
        q = 1 / (1 - 1 / p) if p > 1 else math.inf
        wanted = [
            nearest_border(w.double().numpy(), row, 1 if math.isinf(p) else q) for row in scores
        ]
        # Orthogonal layers keep lengths as far as float32 does.
        np.testing.assert_allclose(radius, wanted, rtol=1e-3)
        assert (radius <= np.array(wanted) * (1 + 1e-6)).all()


def test_a_killed_fit_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    method = LinearClasses(options(), LinearClasses.settings(options())[-1])
    done = 0

    def dies(advance: int, words: str) -> None:
        nonlocal done
        del words
        if done:
            raise KeyboardInterrupt
        done += advance

    with pytest.raises(KeyboardInterrupt):
        method.fit(*points()[:2], folder=tmp_path, tick=dies)
    assert list(tmp_path.iterdir())
    method.fit(*points()[:2], folder=tmp_path)
    assert not list(tmp_path.iterdir())
    whole = fitted(LinearClasses)
    assert isinstance(whole, ScoreMethod)
    x = points()[2].x
    assert torch.equal(method.trained()(x), whole.trained()(x))


def test_levels_above_the_closed_form_prove_as_much_and_cover_the_first_points() -> None:
    method, x = fitted(FeatureConvexClasses), points()[2].x[:4]
    closed, sound, tight = (
        radii_of(method, x, level) for level in ("closed-form", "sound", "tight")
    )
    for p, radius in closed.items():
        assert (tight[p] >= radius).all()
        assert (sound[p] <= radius).all()
        assert (sound[p] >= 0.99 * radius).all()
        assert (sound[p] < radius).any()
    others = {name: guarantee for name, guarantee in method.levels.items() if name != "sound"}
    assert (method.levels["sound"], set(others.values())) == (
        Guarantee.sound,
        {Guarantee.deterministic},
    )
    assert method.covers("closed-form") is None
    assert method.covers("tight") == 100
    # After layers of distances the domain is no help.
    with pytest.raises(UserError, match="mixes coordinates"):
        method.certify(x, "domain")


def test_methods_are_found_by_name() -> None:
    assert find_class_methods(None) == list(CLASS_METHODS.values())
    assert find_class_methods("linear, cayley") == [LinearClasses, CayleyClasses]
    with pytest.raises(
        UserError, match=r"interval: for one sensitive class only; .* there are feat"
    ):
        find_class_methods("linear,interval")
    with pytest.raises(UserError, match="unknown method nix; use some of feature-convex"):
        find_class_methods("nix")
    with pytest.raises(UserError, match="needs at least"):
        SmoothingClasses(ClassOptions(shape=(2,), samples=3, classes=3), {"sigma": 1.0})


def test_a_model_of_images_is_a_detector_with_names(tmp_path: Path) -> None:
    known = fitted(LinearClasses)
    assert isinstance(known, ScoreMethod)
    named = LinearClasses(replace(options(), names=("zero", "one", "two")), known.setting)
    named.model = known.model
    named.save(tmp_path / "named")
    detector, x = fc.load(tmp_path / "named"), points()[2].x
    assert isinstance(detector, ClassDetector)
    assert detector.classes_.tolist() == ["zero", "one", "two"]
    assert (detector.predict(x) == detector.classes_[known.predict(x)]).all()
    # Of a table it would take standardised columns, which nobody's rows are.
    table = replace(named.options, shape=(64,))
    for told in (known.options, table):
        bare = LinearClasses(told, known.setting)
        bare.model = known.model
        bare.save(tmp_path / "bare")
        with pytest.raises(UserError, match="whose names nobody wrote down"):
            fc.load(tmp_path / "bare")


@pytest.mark.usefixtures("own_methods")
def test_a_method_of_one_s_own_joins_by_its_name() -> None:
    kind = type("Own", (LinearClasses,), {"name": "own"})
    assert register_class_method(kind) is kind
    assert find_class_methods("own") == [kind]
    assert register_class_method(kind) is kind
    with pytest.raises(UserError, match="'own' exists already"):
        register_class_method(type("Own", (LinearClasses,), {"name": "own"}))
    with pytest.raises(UserError, match=r"Own\.native_norms must be a tuple"):
        register_class_method(type("Own", (LinearClasses,), {"name": "two", "native_norms": ()}))


class Liar(ClassMethod):
    """Predicts what it is told to."""

    name = "liar"
    said: NDArray[np.generic]

    def fit(self, *args: object, **kwargs: object) -> dict[str, object]:
        raise NotImplementedError

    def predict(self, x: Tensor) -> NDArray[np.int64]:
        return self.said  # type: ignore[return-value]

    def certify(self, x: Tensor, level: str) -> dict[float, NDArray[np.float64]]:
        raise NotImplementedError


@pytest.mark.parametrize(
    "said",
    [np.zeros(2, dtype=np.int64), np.zeros(3), np.array([0, 1, 3]), np.array([0, -1, 2])],
    ids=["too few", "floats", "too large", "negative"],
)
def test_wrong_predictions_are_refused(said: NDArray[np.generic]) -> None:
    setting: Setting = {}
    method = Liar(options(), setting)
    method.said = said
    with pytest.raises(ValueError, match="predict must return an array of 3 int64 from 0 to 2"):
        classes_of(method, torch.zeros(3, 1, 8, 8))
