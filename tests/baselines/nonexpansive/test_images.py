"""The laws and the attacks, for every 1-Lipschitz network of the comparison in both its shapes."""

import functools

import numpy as np
import pytest
import torch
from tests.baselines.cases import digits, options
from tests.baselines.nonexpansive.lipschitz_attack import coloured, nearest_flip, stretches

from featureconvex.baselines import Options
from featureconvex.baselines.nonexpansive.cayley import Cayley
from featureconvex.baselines.nonexpansive.images import DenseOrConvolutional
from featureconvex.baselines.nonexpansive.sll import SLL
from featureconvex.testing import METHOD_LAWS, MethodCase
from featureconvex.testing.law import Law
from featureconvex.testing.method import fitted, survives_a_save, survives_perturbations
from featureconvex.training.points import Points

SETTING = {"share": 1 / 16}
Kind = type[DenseOrConvolutional]
# With how much of the distance that an attack finds each should certify: gradients of orthogonal layers
# keep their length, SLL's only never grow.
KINDS: dict[Kind, float] = {Cayley: 0.8, SLL: 0.6}
each = pytest.mark.parametrize("kind", KINDS)


@functools.cache
def case(kind: Kind) -> MethodCase:
    return MethodCase(lambda: kind(options(10), SETTING), *digits(), attempts=60)


@functools.cache
def colour_case(kind: Kind) -> MethodCase:
    made = Options(shape=(3, 8, 8), epochs=2)
    return MethodCase(lambda: kind(made, SETTING), *coloured(), attempts=40)


@each
@pytest.mark.parametrize("law", METHOD_LAWS, ids=lambda law: law.__name__)
def test_laws(law: Law[MethodCase], kind: Kind) -> None:
    law(case(kind))


@each
@pytest.mark.parametrize("law", [survives_perturbations, survives_a_save])
def test_laws_in_colour(law: Law[MethodCase], kind: Kind) -> None:
    law(colour_case(kind))


@each
def test_no_attack_gets_below_the_radius_and_a_good_one_comes_close(kind: Kind) -> None:
    method, x = fitted(case(kind)), digits()[2].x
    assert isinstance(method, DenseOrConvolutional)
    radius = torch.from_numpy(method.certify(x, "certified")[2.0])
    flagged = radius > 0
    distance = nearest_flip(method, x[flagged], 100)
    assert bool((distance >= radius[flagged]).all())
    assert bool(torch.isfinite(distance).all())
    assert float((radius[flagged] / distance).median()) > KINDS[kind]


@each
def test_in_colour_no_attack_gets_below_the_radius(kind: Kind) -> None:
    method, x = fitted(colour_case(kind)), colour_case(kind).test.x
    assert isinstance(method, DenseOrConvolutional)
    assert 1 - 1e-5 <= method.network.feature_map.lipschitz(2) <= 1 + 1e-5
    radius = torch.from_numpy(method.certify(x, "certified")[2.0])
    flagged = torch.nonzero(radius > 0)[:5, 0]
    assert bool((nearest_flip(method, x[flagged], 30) >= radius[flagged]).all())


@each
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 8), (3, 5, 19), (7,), (1, 70, 130)], ids=str)
def test_scores_of_a_fresh_network_stretch_no_distance(shape: tuple[int, ...], kind: Kind) -> None:
    method = kind(Options(shape=shape), SETTING)
    bound = method.network.feature_map.lipschitz(2)
    assert bound <= 1 + 1e-5
    assert float(stretches(method, shape).max()) <= bound * (1 + 1e-4)


@each
def test_tables(kind: Kind) -> None:
    fitting, validation, test = (Points(p.x.flatten(1) * 6 - 3, p.y) for p in digits())
    method = kind(Options(shape=(64,), epochs=10), SETTING)
    method.fit(fitting, validation)
    flags, radius = method.predict(test.x), method.certify(test.x, "certified")[2.0]
    assert np.mean(flags == (test.y.numpy() > 0)) > 0.8
    assert ((radius > 0) == flags).all()


@pytest.mark.parametrize(("shape", "epochs"), [((1, 8, 8), 20), ((9,), 20), ((3, 8, 8), 12)])
def test_default_epochs(shape: tuple[int, ...], epochs: int) -> None:
    assert SLL(Options(shape=shape), SETTING).default_epochs == epochs
