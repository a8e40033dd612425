"""Training of several classes."""

import math
from pathlib import Path

import pytest
import torch

import featureconvex as fc
from featureconvex.certificates.levels.sound.line import graphs
from featureconvex.certificates.multi_class.slopes import slope_range
from featureconvex.errors import UserError
from featureconvex.features import Center, Compose, MaxMin, NonexpansiveLinear
from featureconvex.models.frozen import frozen_model
from featureconvex.rounding.ball import Ball
from featureconvex.training.checkpoint import Checkpoint
from featureconvex.training.multi_class import fit_classes, nearest_class, score_slopes
from featureconvex.training.points import Points
from featureconvex.training.recipes import Recipe

RECIPE = Recipe("default", epochs=12, batch_size=32, learning_rate=1e-2)


def blobs(classes: int = 4, n: int = 60, seed: int = 0) -> Points:
    """Points around the corners of a polygon."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(classes).repeat_interleave(n)
    turn = 2 * math.pi * y / classes
    x = torch.stack((turn.cos(), turn.sin(), torch.zeros_like(turn)), dim=1)
    return Points(x + 0.15 * torch.randn(len(y), 3, generator=generator), y)


@pytest.mark.parametrize("hidden", [(), (7,), (6, 5), (4, 3, 2)])
@pytest.mark.parametrize("passthrough", [True, False])
def test_slopes_are_those_that_certify(hidden: tuple[int, ...], passthrough: bool) -> None:
    torch.manual_seed(len(hidden))
    net = fc.nn.ConvexMLP(5, hidden, passthrough=passthrough).double().eval()
    model = frozen_model(fc.FeatureConvexModel(fc.features.Identity(), net))
    proved = slope_range(graphs(model)[1], Ball.exact(torch.zeros(1, 5)))
    centre, around = score_slopes(net)
    assert torch.allclose(centre, proved.centre[0], atol=1e-9)
    assert torch.allclose(around, proved.radius[0], atol=1e-9)


def test_other_networks_are_refused() -> None:
    with pytest.raises(UserError, match="ConvexMLP without batch norm"):
        score_slopes(fc.nn.ConvexMLP(3, (4,), batch_norm=True))


@pytest.mark.parametrize("hidden", [(), (8, 4)])
def test_classes_are_learned_and_their_radii_certified(hidden: tuple[int, ...]) -> None:
    points = blobs()
    torch.manual_seed(0)
    phi = Compose(Center(0.0), NonexpansiveLinear(3, 8), MaxMin())
    fitted = fit_classes(phi, hidden, RECIPE, points, seed=0)
    test = blobs(seed=1)
    cert = fc.certify_classes(fitted.model, test.x)
    right = cert.predicted == test.y.numpy()
    assert right.mean() > 0.95
    assert fitted.n_train == 216
    assert len(fitted.history) == 12
    # Half the distance between neighbouring corners is 0.71.
    assert 0.2 < float(torch.tensor(cert.radius[right]).median()) < 0.75
    trained = fitted.history[-1]["validation_median_radius"]
    assert trained == pytest.approx(float(torch.tensor(cert.radius[right]).median()), rel=0.3)


def test_the_same_seed_gives_the_same_model_and_a_checkpoint_goes_on(tmp_path: Path) -> None:
    points = blobs(3, 30)

    def fitted(epochs: int, checkpoint: Checkpoint | None = None) -> dict[str, torch.Tensor]:
        torch.manual_seed(5)
        phi = Compose(NonexpansiveLinear(3, 4), MaxMin())
        recipe = RECIPE.replace(epochs=epochs)
        return fit_classes(
            phi, (4,), recipe, points, seed=3, checkpoint=checkpoint
        ).model.state_dict()

    whole = fitted(4)
    again = fitted(4, Checkpoint(tmp_path / "training.pt", {"a": 1}))
    resumed = fitted(4, Checkpoint(tmp_path / "training.pt", {"a": 1}))
    for name, value in whole.items():
        assert torch.equal(value, again[name])
        assert torch.equal(value, resumed[name])


def test_only_the_sensitive_classes_pay_for_radius() -> None:
    points = blobs(3)
    recipe = RECIPE.replace(temperature=0.5, other_temperature=0.05, epochs=20)

    def radii(sensitive: list[int] | None) -> torch.Tensor:
        torch.manual_seed(0)
        phi = Compose(NonexpansiveLinear(3, 8), MaxMin())
        model = fit_classes(phi, (6,), recipe, points, sensitive=sensitive).model
        cert = fc.certify_classes(model, points.x)
        right = cert.predicted == points.y.numpy()
        return torch.tensor(cert.radius[right & (points.y.numpy() == 0)]).median()

    assert radii([0]) > radii([1, 2]) * 1.1


def test_distance_of_classes_and_bad_points() -> None:
    points = blobs(2, 50)
    assert 1.0 < nearest_class(points, 2.0) < 2.0
    doubled = nearest_class(points, 2.0, torch.full((3,), 2.0))
    assert doubled == pytest.approx(2 * nearest_class(points, 2.0), rel=1e-5)
    few = Points(torch.zeros(3, 2), torch.tensor([0, 0, 2]))
    with pytest.raises(UserError, match="class number 1 has 0 training points"):
        fit_classes(fc.features.Identity(), (), RECIPE, few)
    bad = Points(torch.full((8, 2), math.nan), torch.arange(8) % 2)
    with pytest.raises(UserError, match="NaN or an infinity"):
        fit_classes(fc.features.Identity(), (), RECIPE, bad)
