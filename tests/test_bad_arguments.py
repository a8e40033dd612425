"""Whatever is handed to a public entry point: an answer or an error to act on, never torch's or numpy's."""

import copy
import decimal
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import featureconvex as fc
from featureconvex import features, nn
from featureconvex.certificates import LEVELS, parse_threat
from featureconvex.norms import check_exponent

NET = nn.MaxAffine(3, 2)
MODEL = fc.FeatureConvexModel(features.Identity(), NET, 1.0)
X = torch.linspace(0.1, 0.6, 6).reshape(2, 3)
Entry = Callable[[Any], object]


def through(phi: Callable[[Any], features.FeatureMap]) -> Entry:
    return lambda value: fc.certify(fc.FeatureConvexModel(phi(value), NET), X)


def inside(make: Callable[[Any], fc.Box]) -> Entry:
    return lambda value: fc.certify(MODEL, X, fc.Lp(2), make(value), "domain")


def against(make: Callable[[Any], Any]) -> Entry:
    return lambda value: fc.certify(MODEL, X, make(value), fc.Box(0, 1), "domain")


def owned(level: type[fc.levels.Level], name: str) -> Entry:
    return lambda value: fc.certify(MODEL, X, level=level(**{name: value}))


def attacked(name: str) -> Entry:
    return lambda value: fc.attack(MODEL, X, **{"steps": 2, name: value})


def mlp(name: str) -> Entry:
    return lambda value: nn.ConvexMLP(2, **{name: value})


def convnet(name: str) -> Entry:
    plain = {"in_channels": 1, "image_size": 4, "features": 1, "depth": 1}
    return lambda value: nn.ConvexConvNet(**{**plain, name: value})


def scattering(name: str) -> Entry:
    plain = {"image_shape": (1, 8, 8), "scales": 1, "orientations": 1, "order": 1}
    return lambda value: features.Scattering(**{**plain, name: value})


ENTRIES: dict[str, Entry] = {
    "certify: model": lambda value: fc.certify(value, X),
    "certify: x": lambda value: fc.certify(MODEL, value),
    "certify: threat": lambda value: fc.certify(MODEL, X, value),
    "certify: threats": lambda value: fc.certify(MODEL, X, [fc.Lp(1), value]),
    "certify: domain": lambda value: fc.certify(MODEL, X, domain=value),
    "certify: level": lambda value: fc.certify(MODEL, X, level=value),
    "certify: batch_size": lambda value: fc.certify(MODEL, X, batch_size=value),
    "certify: progress": lambda value: fc.certify(MODEL, X, progress=value),
    "save_model: model": lambda value: fc.save_model(value, "no/where"),
    "model.tau": lambda value: setattr(copy.deepcopy(MODEL), "tau", value),
    **{f"Tight: {name}": owned(fc.levels.Tight, name) for name in ("tolerance", "attacks")},
    **{f"Sound: {name}": owned(fc.levels.Sound, name) for name in ("arithmetic", "base")},
    "Box: lo": inside(lambda value: fc.Box(value, 1)),
    "Box: hi": inside(lambda value: fc.Box(0, value)),
    "Box: immutable": inside(lambda value: fc.Box(0, 1, value)),
    "Box: direction": inside(lambda value: fc.Box(0, 1, direction=value)),
    "Lp: p": against(fc.Lp),
    "Lp: cost": against(lambda value: fc.Lp(2, value)),
    "L0: groups": against(fc.L0),
    "Patch: size": against(fc.Patch),
    "Patch: shape": against(lambda value: fc.Patch(1, value)),
    "parse_threat": parse_threat,
    "check_exponent": check_exponent,
    "Scale: scale": through(features.Scale),
    "Scale: shift": through(lambda value: features.Scale(1, value)),
    "Center": through(features.Center),
    "Compose": through(lambda value: features.Compose(features.Identity(), value)),
    "AbsConcat: p": lambda value: features.AbsConcat().lipschitz(value),
    **{f"Scattering: {n}": scattering(n) for n in ("image_shape", "scales", "order", "opponent")},
    "ConvexMLP: in_features": lambda value: nn.ConvexMLP(value, (2,)),
    **{
        f"ConvexMLP: {name}": mlp(name)
        for name in ("hidden", "passthrough", "batch_norm", "activation", "init")
    },
    "MaxAffine: in_features": nn.MaxAffine,
    "MaxAffine: pieces": lambda value: nn.MaxAffine(2, value),
    **{
        f"ConvexConvNet: {name}": convnet(name)
        for name in (
            *("in_channels", "image_size", "features", "depth", "first_kernel", "kernel"),
            *("pool", "batch_norm", "activation", "init"),
        )
    },
    "attack: model": lambda value: fc.attack(value, X),
    "attack: X": lambda value: fc.attack(MODEL, value, steps=2),
    **{
        f"attack: {name}": attacked(name)
        for name in ("threat", "domain", "budget", "steps", "restarts", "method", "seed")
    },
}
# No entry takes these.
JUNK: tuple[Any, ...] = (
    "junk",
    b"junk",
    object(),
    [None, 1.0],
    ["a", 1],
    [[1.0, 2.0], [3.0]],
    {"junk": 1},
    math.nan,
    -(10**400),
    1j,
    np.array(["a", "b", "c"]),
    np.ma.masked_array([1.0, 2.0, 3.0], [True, False, False]),
    np.ma.masked,
    np.array([1.0, None], dtype=object),
    np.datetime64("2020"),
    torch.tensor([1j, 2.0, 3.0]),
    torch.eye(3).to_sparse(),
    torch.empty(3, device="meta"),
    pd.Series(["a", "b"]),
    decimal.Decimal("nan"),
    print,
    int,
    np.arange(7.0)[::-1] + 0.5,
)


CLASSIFIER = fc.FeatureConvexClassifier(hidden=(2,), epochs=1, temperature=1.0, random_state=0)
# Paths take text.
PATHS: dict[str, Entry] = {
    "load": fc.load,
    "save_model: path": lambda value: fc.save_model(MODEL, value),
    "classifier: save": lambda value: CLASSIFIER.save(value),
}
# Amounts: a bool would be read as 0 or 1 where a mask or a switch was meant.
AMOUNTS = (
    *("Box: lo", "Box: hi", "Lp: p", "Lp: cost", "L0: groups", "Patch: size", "Scale: scale"),
    *("Scale: shift", "Center", "Tight: tolerance", "attack: budget", "attack: steps", "model.tau"),
)
BOOLS: tuple[Any, ...] = (
    *(True, np.True_, np.array(True), torch.tensor(True)),
    *([True, True, True], np.array([True, False, True]), torch.ones(3, dtype=torch.bool)),
)


def refused_or_answered(entry: Entry, value: Any) -> bool:
    """Whether ``value`` is refused; any other error than the library's own goes through."""
    try:
        entry(value)
    except fc.UserError:  # a ConvexityError is one, too
        return True
    return False


@pytest.mark.parametrize("name", ENTRIES)
def test_junk_is_refused_with_a_message(name: str) -> None:
    accepted = [value for value in JUNK if not refused_or_answered(ENTRIES[name], value)]
    assert accepted == []


@pytest.mark.parametrize("name", AMOUNTS)
def test_bools_are_no_amounts(name: str) -> None:
    accepted = [value for value in BOOLS if not refused_or_answered(ENTRIES[name], value)]
    assert accepted == []


@pytest.mark.parametrize("name", PATHS)
def test_what_is_no_path_is_refused(name: str) -> None:
    if not hasattr(CLASSIFIER, "model_"):
        CLASSIFIER.fit(np.arange(40.0).reshape(20, 2), np.arange(20) % 2)
    for value in (None, 3, b"bytes", "", ["a"], {"a": 1}, open, math.nan):
        with pytest.raises(fc.UserError, match="path must be a path such as"):
            PATHS[name](value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: features.Scale([1, 2], [1, 2, 3]),
        lambda: features.Compose(features.Center([1, 2]), features.Scale([1, 2, 3])),
        lambda: features.Compose(
            features.Scale([1, 2]),
            features.Identity(),
            features.Center(0),
            features.Center([1, 2, 3]),
        ),
        lambda: fc.Box([0, 0], [1, 1, 1]),
    ],
)
def test_shapes_that_no_input_has_together_are_refused_at_once(make: Callable[[], object]) -> None:
    with pytest.raises(fc.UserError, match=r"shape \(2,\) and .*shape \(3,\) do not belong"):
        make()


def test_maps_that_change_the_shape_start_anew() -> None:
    folded = features.Compose(
        features.Center([1, 2]), features.AbsConcat(), features.Scale([1] * 4)
    )
    assert folded(torch.zeros(1, 2)).shape == (1, 4)


WORDS: dict[str, tuple[Callable[[], object], str]] = {
    "a slope out of range": (
        lambda: nn.ConvexMLP(2, activation="leaky_relu:2"),
        r"slope in \[0, 1\]",
    ),
    "no number": (lambda: nn.ConvexMLP(2, activation="elu:x"), "'x' is not a number"),
    "no parameter": (lambda: nn.ConvexMLP(2, activation="relu:1"), "relu takes no parameter"),
    "a list of maps": (lambda: features.Compose([features.AbsConcat()]), "one by one"),  # type: ignore[arg-type]
    "a class": (lambda: features.Compose(features.AbsConcat), "one by one"),  # type: ignore[arg-type]
    "an infinite mean": (
        lambda: features.Center(math.inf),
        "mean must hold finite numbers, got inf",
    ),
    "no costs": (lambda: fc.Lp(2, []), "cost is empty"),
    "not fitted": (
        lambda: fc.attack(fc.FeatureConvexClassifier(), X),
        "not fitted yet; call its fit",
    ),
    "no weights": (
        lambda: fc.certify(copy.deepcopy(MODEL).to("meta"), X),
        r"tau is on the meta device|weight is on the meta device",
    ),
}


@pytest.mark.parametrize("name", WORDS)
def test_a_message_names_the_cause(name: str) -> None:
    act, words = WORDS[name]
    with pytest.raises(fc.UserError, match=words):
        act()


@pytest.mark.parametrize("transform", [torch.func.vmap, torch.func.jacrev])
@pytest.mark.parametrize("act", [fc.certify, fc.attack])
def test_transformed_tensors_are_refused(transform: Any, act: Any) -> None:
    """They have no numbers; in certificates of a formula they would look as if they had."""
    with pytest.raises(fc.UserError, match=r"torch.func.*call it outside"):
        transform(lambda x: act(MODEL, x[None], fc.Lp(2)) and x.sum())(X)


def test_two_exponents_never_look_the_same() -> None:
    assert repr(fc.Lp(1 + 1e-9)) == "Lp(1.000000001)"
    assert [repr(fc.Lp(p)) for p in (1, 2.0, math.inf, 1.5)] == [
        "Lp(1)",
        "Lp(2)",
        "Lp(inf)",
        "Lp(1.5)",
    ]


def test_a_threshold_may_be_set_as_a_number() -> None:
    model = copy.deepcopy(MODEL)
    model.tau = 3  # type: ignore[assignment]
    assert model.tau.dtype == torch.float64
    with torch.no_grad():
        assert torch.equal(model(X), MODEL(X) + 2)


def test_radii_near_the_largest_number_are_shown_without_a_warning() -> None:
    certificate = fc.certify(MODEL, X, fc.Lp(2, cost=1e308))
    assert "median radius" in repr(certificate)


_NUMBERS = st.one_of(
    st.integers(-3, 12),
    st.floats(width=32),
    st.sampled_from([True, np.int64(2), np.float32(1.5), np.bool_(1), np.longdouble(3), None]),
)
_THINGS = st.one_of(
    _NUMBERS,
    st.text(max_size=3),
    st.lists(_NUMBERS, max_size=4),
    st.lists(st.lists(st.integers(-2, 2), min_size=1, max_size=3), max_size=3),
    st.dictionaries(st.one_of(st.integers(-4, 4), st.text(max_size=2)), _NUMBERS, max_size=3),
    st.lists(st.integers(-2, 4), max_size=4).map(np.array),
    st.lists(st.booleans(), max_size=4).map(np.array),
    st.lists(st.floats(-2, 2), min_size=1, max_size=4).map(lambda v: np.array(v, ">f8")[::-1]),
    st.lists(st.floats(-2, 2), min_size=1, max_size=4).map(torch.tensor),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.sampled_from(sorted(ENTRIES)), _THINGS)
def test_anything_is_answered_or_refused(name: str, value: Any) -> None:
    refused_or_answered(ENTRIES[name], value)


# Forms of the same 2 x 3 numbers that torch does not take as they are.
_WIDE = np.zeros((2, 6))
_WIDE[:, ::2] = X.numpy()
_FROZEN = X.numpy().astype(np.float64)
_FROZEN.setflags(write=False)
_RECORDS = np.zeros((2, 3), dtype=[("value", "f8"), ("flag", "i1")])
_RECORDS["value"] = X.numpy()
FORMS: dict[str, Any] = {
    "a list": X.double().tolist(),
    "big-endian": X.numpy().astype(">f4"),
    "negative strides": X.numpy()[::-1, ::-1].copy()[::-1, ::-1],
    "strides": _WIDE[:, ::2],
    "a field of records": _RECORDS["value"],
    "longdouble": X.numpy().astype(np.longdouble),
    "read-only": _FROZEN,
    "nothing masked": np.ma.masked_array(X.numpy(), np.zeros((2, 3), dtype=bool)),
    "a frame": pd.DataFrame(X.numpy()),
    "with a gradient": X.clone().requires_grad_(),
    "Fortran order": np.asfortranarray(X.numpy()),
}


@pytest.mark.parametrize("form", FORMS)
def test_any_form_of_the_same_numbers_gives_the_same_certificate(form: str) -> None:
    expected = fc.certify(MODEL, X, fc.Lp(2, [1, 2, 3]), fc.Box(-1, 1), "domain").radius
    found = fc.certify(MODEL, FORMS[form], fc.Lp(2, [1, 2, 3]), fc.Box(-1, 1), "domain").radius
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert len(fc.attack(MODEL, FORMS[form], steps=2)) == 2
    # The same forms of one row, as ends and costs.
    row = FORMS[form].iloc[0] if form == "a frame" else FORMS[form][0]
    plain = fc.certify(MODEL, X[:1], fc.Lp(2, X[0]), fc.Box(X[0] - 1, X[0]), "domain").radius
    one = fc.certify(MODEL, X[:1], fc.Lp(2, row), fc.Box(X[0] - 1, row), "domain").radius
    np.testing.assert_allclose(one, plain, rtol=1e-6)


def test_masked_cells_are_refused_by_the_estimator_too() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(40, 3))
    clf = fc.FeatureConvexClassifier(hidden=(2,), epochs=1, temperature=0.3, random_state=0)
    masked = np.ma.masked_array(points, points > 1)
    with pytest.raises(fc.UserError, match="masked"):
        clf.fit(masked, points[:, 0] > 0)
    clf.fit(points, points[:, 0] > 0)
    for call in (clf.predict, clf.certify):
        with pytest.raises(fc.UserError, match="masked"):
            call(masked)


MAPS: dict[str, tuple[features.FeatureMap, int]] = {
    "identity": (features.Identity(), 3),
    "scale": (features.Scale([1.0, 2.0, 3.0]), 3),
    "scale by a number": (features.Scale(2.0), 3),
    "center": (features.Center([0.1, 0.2, 0.3]), 3),
    "(u, |u|)": (features.AbsConcat(), 6),
    "both": (features.Compose(features.Center(0.5), features.AbsConcat()), 6),
}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", MAPS)
def test_a_wrong_width_names_what_fits_and_what_came(name: str, level: str) -> None:
    phi, width = MAPS[name]
    model = fc.FeatureConvexModel(phi, nn.MaxAffine(width, 2))
    for rows in (torch.rand(2, 5), torch.rand(0, 5)):
        with pytest.raises(fc.UserError) as caught:
            fc.certify(model, rows, level=level)
        text = str(caught.value)
        assert any(f"{n}" in text for n in (3, width)), text
        assert any(f"{n}" in text for n in (5, 5 * width // 3)), text


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("threat", "domain"),
    [
        (fc.Lp(2, [1.0, 2.0]), None),
        (fc.Lp(2), fc.Box([0.0, 0.0], 1)),
        (fc.Lp(2), fc.Box(0, 1, immutable=[True, False])),
        (fc.Lp(2), fc.Box(0, 1, immutable=[3])),
        (fc.Lp(2), fc.Box(0, 1, direction=[1, -1])),
        (fc.Lp(2), fc.Box(0, 1, direction={3: 1})),
        (fc.L0([0, 1]), fc.Box(0, 1)),
        (fc.Patch(4), fc.Box(0, 1)),
    ],
)
def test_what_does_not_fit_the_inputs_is_refused_at_every_level(
    threat: Any, domain: fc.Box | None, level: str
) -> None:
    with pytest.raises(fc.UserError):
        fc.certify(MODEL, X, threat, domain, level)
    with pytest.raises(fc.UserError):
        fc.attack(MODEL, X, threat, domain, steps=2)


def test_numpy_scalars_are_numbers() -> None:
    one: Any = np.int64(1)
    two: Any = np.int64(2)
    three: Any = np.int32(3)
    half: Any = np.float32(0.5)
    assert repr(fc.Lp(one + half)) == "Lp(1.5)"
    assert fc.Patch(two, (one, three)).shape == (1, 3)
    mlp = nn.ConvexMLP(three, (two, one), activation=torch.nn.LeakyReLU(half))
    assert mlp.config()["activation"] == "leaky_relu:0.5"
    made: tuple[Any, ...] = (
        mlp,
        nn.MaxAffine(three, two),
        nn.ConvexConvNet(one, (three, three), features=two, depth=one),
        features.Scattering((one, three, three), one, two, one),
        nn.ConvexMLP(2, (2,), activation=nn.Softplus(half)),
    )
    for part in made:
        config = part.config()
        assert json.loads(json.dumps(config)) == config | {
            key: list(value) for key, value in config.items() if isinstance(value, tuple)
        }


OLD = {
    "iterations": 3,
    "tolerance": 0.1,
    "attacks": False,
    "arithmetic": "float32",
    "rests_on": "tight",
}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", OLD)
def test_an_option_of_a_level_belongs_to_its_object(level: str, name: str) -> None:
    """Whatever the level: the message shows the object that takes it."""
    call: Any = fc.certify
    with pytest.raises(TypeError, match=rf"{name}.*fc\.levels\.\w+\(\w+={OLD[name]!r}\)") as found:
        call(MODEL, X, level=level, **{name: OLD[name]})
    shown = str(found.value).split("level=")[1]
    assert isinstance(eval(shown, {"fc": fc}), fc.levels.Level)
    with pytest.raises(TypeError, match=r"unexpected.*'nonsense'"):
        call(MODEL, X, level=level, nonsense=OLD[name])


def test_sound_on_tight_is_never_above_it() -> None:
    search = fc.levels.Tight(iterations=3, tolerance=0.1, attacks=False)
    found = fc.certify(MODEL, X, level=fc.levels.Sound(search))
    assert (found.radius <= fc.certify(MODEL, X, level=search).radius).all()


@pytest.mark.parametrize("level", LEVELS)
def test_levels_stay_what_they_were_made(level: str) -> None:
    chosen = fc.levels.level_named(level)
    assert chosen == fc.levels.level_named(level)
    assert eval(repr(chosen), vars(fc.levels)) == chosen
    assert fc.certify(MODEL, X, level=chosen).level == level
    with pytest.raises(AttributeError):
        chosen.name = "mine"  # type: ignore[misc]
    with pytest.raises(fc.UserError, match="brackets"):
        fc.certify(MODEL, X, level=type(chosen))  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "options", [{"level": "domain", "iterations": 3}, {"level": "tight", "base": "domain"}]
)
def test_the_command_line_refuses_options_of_other_levels(options: dict[str, Any]) -> None:
    with pytest.raises(fc.UserError, match=f"{options['level']}.* has no"):
        fc.levels.parse_level(options.pop("level"), **options)


@pytest.mark.parametrize(
    "keep",
    [
        lambda given: fc.Lp(2, cost=given),
        lambda given: fc.Box(given, 9),
        lambda given: fc.Box(-9, given),
        lambda given: fc.Box(0, 9, immutable=given > 1),
        lambda given: fc.Box(0, 9, direction=given.clip(upper=1)),
        lambda given: fc.L0(groups=given),
    ],
    ids=["cost", "lo", "hi", "immutable", "direction", "groups"],
)
def test_labels_are_not_passed_over_in_silence(keep: Any) -> None:
    given = pd.Series([1, 2, 1], index=["c", "a", "b"])
    with pytest.raises(fc.UserError, match=r"has labels \('c', 'a', 'b'|direction takes"):
        keep(given)
    keep(given.reset_index(drop=True))
