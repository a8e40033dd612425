import math

import pytest
import torch
from tests.baselines.relu.exact import exact_radius, flagged_points, random_layers

from featureconvex.baselines.relu.adversarial import AdversarialLoss, attacked, projected
from featureconvex.baselines.relu.adversarial_radius import attack_radius
from featureconvex.baselines.relu.network import ReluNetwork, scores
from featureconvex.norms import norm_name, vector_norm

NORMS = (1.0, 2.0, math.inf)


@pytest.mark.parametrize("p", NORMS, ids=norm_name)
def test_the_projection_is_the_nearest_point_of_the_ball(p: float) -> None:
    generator = torch.Generator().manual_seed(0)
    delta = torch.randn(20, 6, generator=generator, dtype=torch.float64)
    nearest = projected(delta, p, 0.7)
    assert bool((vector_norm(nearest, p) <= 0.7 + 1e-12).all())
    others = projected(torch.randn(500, 6, generator=generator, dtype=torch.float64), p, 0.7)
    gaps = torch.cdist(delta, others).amin(dim=1) - (delta - nearest).norm(dim=1)
    assert bool((gaps >= -1e-9).all())
    inside = 0.01 * delta
    assert torch.allclose(projected(inside, p, 0.7), inside)


@pytest.mark.parametrize("p", NORMS, ids=norm_name)
def test_on_a_linear_score_the_attack_is_the_worst_case(p: float) -> None:
    weight = torch.tensor([3.0, -1.0, 0.5, 2.0], dtype=torch.float64)
    x = torch.zeros(1, 4, dtype=torch.float64)
    worst = attacked(lambda z: z @ weight, x, torch.ones(1), p, 0.5, steps=20)
    dual = {1.0: 3.0, 2.0: float(weight.norm()), math.inf: 6.5}[p]
    assert float(worst @ weight) == pytest.approx(-0.5 * dual, rel=1e-6)


@pytest.mark.parametrize("p", NORMS, ids=norm_name)
def test_the_attack_radius_is_never_below_the_exact_one(p: float) -> None:
    layers = random_layers((4, 6), seed=10)
    x = flagged_points(layers, 4, seed=0)
    exact = torch.tensor([exact_radius(layers, row, p) for row in x], dtype=torch.float64)
    reached = attack_radius(layers, x, p, exact / 8, steps=20)
    assert bool((reached >= exact * (1 - 1e-9)).all())
    assert float((reached / exact).median()) < 1.1


def test_the_loss_is_that_of_the_attacked_batch_and_grows_with_the_radius() -> None:
    network = ReluNetwork(6, (8, 5))
    network.reset(0)
    x = torch.rand(32, 6, generator=torch.Generator().manual_seed(1))
    sign = torch.where(scores(network.affine(), x) > 0, 1.0, -1.0)

    def loss(epsilon: float, done: float) -> float:
        return AdversarialLoss(math.inf, epsilon, 10)(network, x, sign, done).item()

    plain, half, full = (loss(epsilon, 1.0) for epsilon in (0.0, 0.1, 0.2))
    assert plain < half < full
    early = loss(0.2, 1 / 6)
    assert early == pytest.approx(half, rel=1e-5)


def test_the_stability_penalty_is_added() -> None:
    network = ReluNetwork(6, (8,))
    network.reset(0)
    x = torch.rand(4, 6, generator=torch.Generator().manual_seed(1))
    without, with_it = (
        AdversarialLoss(2.0, 0.1, 2, weight)(network, x, torch.ones(4), 1.0).item()
        for weight in (0.0, 0.5)
    )
    # Every neuron adds between -1 and 1.
    assert 0 < abs(with_it - without) <= 0.5 * 8
