"""The rule that chooses the temperature."""

import math
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import featureconvex as fc
from featureconvex.training.points import Points
from featureconvex.training.recipes import Recipe
from featureconvex.training.temperature import (
    RATIOS,
    Trainer,
    choose_temperature,
    class_distance,
    halves,
    largest_within,
    widest_within,
)
from featureconvex.training.validation import Outputs

ERRORS = st.lists(st.floats(0, 0.5), min_size=1, max_size=8)


@given(ERRORS, st.floats(0, 0.2))
def test_the_choice_lies_on_the_grid_s_range(errors: list[float], slack: float) -> None:
    temperatures = np.exp2(np.arange(len(errors), dtype=np.float64))
    chosen = largest_within(temperatures, np.array(errors), min(errors) + slack)
    assert temperatures[int(np.argmin(errors))] * (1 - 1e-9) <= chosen
    assert chosen <= temperatures[-1] * (1 + 1e-9)


@given(ERRORS, st.floats(0, 0.2))
def test_a_monotone_curve_is_cut_exactly_at_the_budget(errors: list[float], slack: float) -> None:
    rising = np.sort(np.array(errors))
    temperatures = np.exp2(np.arange(len(rising), dtype=np.float64))
    allowed = float(rising[0]) + slack
    chosen = largest_within(temperatures, rising, allowed)
    at_choice = np.interp(math.log(chosen), np.log(temperatures), rising)
    assert at_choice <= allowed + 1e-9
    if chosen < temperatures[-1] * (1 - 1e-9):
        assert at_choice == pytest.approx(allowed, abs=1e-9)


def test_temperatures_below_the_best_one_do_not_count() -> None:
    """Too small a temperature fits noise: its large error is no reason to allow more."""
    temperatures = np.array([1.0, 2.0, 4.0, 8.0])
    bent = largest_within(temperatures, np.array([0.3, 0.1, 0.1, 0.2]), 0.15)
    flat = largest_within(temperatures, np.array([0.1, 0.1, 0.1, 0.2]), 0.15)
    assert bent == pytest.approx(flat)
    assert 4 < bent < 8


@given(ERRORS, st.floats(0, 0.2), st.randoms())
def test_no_pilot_within_the_budget_has_a_larger_radius(
    errors: list[float], slack: float, random: Random
) -> None:
    temperatures = np.exp2(np.arange(len(errors), dtype=np.float64))
    radii = np.array([random.uniform(0, 2) for _ in errors])
    allowed = min(errors) + slack
    chosen, radius = widest_within(temperatures, np.array(errors), radii, allowed)
    most = largest_within(temperatures, np.array(errors), allowed)
    assert chosen <= most * (1 + 1e-9)
    inside = (np.array(errors) <= allowed) & (temperatures <= most * (1 + 1e-9))
    assert radius >= radii[inside].max(initial=0.0) * (1 - 1e-9)
    assert radius == pytest.approx(np.interp(math.log(chosen), np.log(temperatures), radii))


def test_where_the_radius_only_grows_the_largest_temperature_is_taken() -> None:
    temperatures, errors = np.array([1.0, 2.0, 4.0, 8.0]), np.array([0.1, 0.1, 0.12, 0.2])
    chosen, _ = widest_within(temperatures, errors, np.array([1.0, 2.0, 3.0, 3.5]), 0.15)
    assert chosen == largest_within(temperatures, errors, 0.15) > 4


@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
def test_class_distance_scales_with_the_data_and_the_cost(p: float) -> None:
    x = torch.randn(80, 3, dtype=torch.float64)
    points = Points(x, (x[:, 0] > 0).long())
    distance = class_distance(points, p)
    brute = torch.cdist(x[points.y == 1], x[points.y == 0], p=p).amin(1).median()
    assert distance == pytest.approx(float(brute))
    assert class_distance(Points(5 * x, points.y), p) == pytest.approx(5 * distance)
    cost = torch.full((3,), 2.0, dtype=torch.float64)
    assert class_distance(points, p, cost) == pytest.approx(2 * distance)


def test_halves_are_a_stratified_partition() -> None:
    x = torch.arange(101.0)[:, None]
    points = Points(x, (torch.arange(101) < 31).long())
    first, second = halves(points, seed=0)
    assert sorted(torch.cat((first.x, second.x)).flatten().tolist()) == x.flatten().tolist()
    assert abs(int(first.y.sum()) - int(second.y.sum())) <= 1


def test_copies_of_a_point_stay_in_one_half() -> None:
    once = torch.arange(50.0)
    points = Points(torch.cat((once, -once))[:, None], (torch.arange(100) % 50 < 20).long())
    first, second = halves(points, seed=0, copies=2)
    assert sorted(first.x.abs().flatten().tolist() + second.x.abs().flatten().tolist()) == sorted(
        2 * once.tolist()
    )
    assert not set(first.x.abs().flatten().tolist()) & set(second.x.abs().flatten().tolist())
    assert first.y.sum() == second.y.sum() == 20


def test_pilots_stop_once_the_error_is_far_beyond_the_budget() -> None:
    """A trainer whose models get worse with the temperature, known in closed form."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(400, 1, dtype=torch.float64, generator=generator)
    points = Points(x, (x[:, 0] > 0).long())
    scale = class_distance(points, 2.0)
    seen = []

    def train(recipe: Recipe, title: str, _: Points, __: Points) -> fc.FeatureConvexModel:
        assert recipe.temperature is not None
        seen.append((title, recipe.epochs))
        ratio = recipe.temperature / scale
        net = fc.nn.MaxAffine(1, 1).double()
        net.affine.weight.data.fill_(1.0 if ratio < 0.1 else -1.0)
        return fc.FeatureConvexModel(fc.features.Identity(), net)

    choice = choose_temperature(Recipe("r", epochs=10, allowance=0.01), {"own": train}, points)
    assert [epochs for _, epochs in seen] == [4] * 3
    assert len(choice.pilots) == 3 < len(RATIOS)
    assert sum(pilot.chosen for pilot in choice.pilots) == 1
    assert scale / 16 <= choice.temperature < scale / 8
    assert choice.feature_map == "own"


@pytest.mark.parametrize(
    ("wrong", "radii", "pilots"),
    [
        ([0, 0, 0, 0, 0, 0, 0], [1, 2, 3, 4, 5, 6, 7], 7),
        ([0, 0, 0, 0, 0, 0], [1, 2, 3, 2, 5, 6], 4),  # the radius falls
        ([0, 0, 1, 1, 1, 1, 1], [1, 2, 3, 4, 5, 6, 7], 7),  # 1 % wrong is within the budget
        ([0, 0, 2, 2, 2, 2], [1, 2, 3, 4, 5, 6], 3),  # 2 % is beyond budget and patience
    ],
)
def test_a_recipe_with_patience_has_fewer_pilots(
    wrong: list[int], radii: list[float], pilots: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = Points(torch.randn(100, 1), (torch.arange(100) < 50).long())
    ratios: list[float] = []

    def train(recipe: Recipe, *_: object) -> fc.FeatureConvexModel:
        assert recipe.temperature is not None
        ratios.append(recipe.temperature / class_distance(points, 2.0))
        assert recipe.settled == 0.75
        return fc.FeatureConvexModel(fc.features.Identity(), fc.nn.MaxAffine(1, 1))

    def judged(*_: object) -> Outputs:
        labels = np.repeat([1, 0], 50)
        logits, k = np.where(labels == 1, 1.0, -1.0), len(ratios) - 1
        # As many of either class on the other's side, so that the balanced threshold stays between.
        logits[: wrong[k]] = -1.0
        logits[len(logits) - wrong[k] :] = 1.0
        return Outputs(logits, np.full(100, 1 / radii[k]), labels)

    monkeypatch.setattr("featureconvex.training.temperature.outputs", judged)
    recipe = Recipe(
        "r",
        epochs=10,
        allowance=0.025,
        untried=(1 / 16,),
        further=(4.0,),
        patience=0.005,
        pilots_settled=0.75,
    )
    choose_temperature(recipe, {"own": train}, points)
    assert ratios == pytest.approx([*(r for r in RATIOS if r != 1 / 16), 4.0][:pilots])


def test_feature_maps_share_one_budget_of_errors() -> None:
    """Of maps that may err as much, the one with the larger radius; not one that errs more."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(400, 2, dtype=torch.float64, generator=generator)
    points = Points(x, (x[:, 0] > 0).long())

    def line(weight: list[list[float]], bias: list[float]) -> Trainer:
        def train(*_: object) -> fc.FeatureConvexModel:
            net = fc.nn.MaxAffine(2, len(bias)).double()
            net.affine.weight.data[:] = torch.tensor(weight)
            net.affine.bias.data[:] = torch.tensor(bias)
            return fc.FeatureConvexModel(fc.features.Identity(), net)

        return train

    recipe = Recipe("r", epochs=10, allowance=0.01)
    candidates = {
        "loose": line(
            [[1.0, 0.0], [30.0, 0.0]], [0.0, -1.0]
        ),  # as right, but radii are 1/30 smaller
        "exact": line([[1.0, 0.0]], [0.0]),
        "wrong": line([[0.0, 1e-3]], [5e-3]),
    }
    for order in (["loose", "exact", "wrong"], ["wrong", "exact", "loose"]):
        choice = choose_temperature(recipe, {name: candidates[name] for name in order}, points)
        assert choice.feature_map == "exact"
        chosen = [pilot for pilot in choice.pilots if pilot.chosen]
        assert [pilot.feature_map for pilot in chosen] == ["exact"]
    given = recipe.replace(temperature=0.5)
    choice = choose_temperature(given, candidates, points)
    assert (choice.feature_map, choice.temperature) == ("exact", 0.5)
    assert [pilot.temperature for pilot in choice.pilots] == [0.5] * 3
