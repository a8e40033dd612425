"""Training in the basis of principal components."""

import math

import pytest
import torch

import featureconvex as fc
from featureconvex.certificates.minorant import tangent
from featureconvex.errors import UserError
from featureconvex.training.architectures import Architecture, table_architecture
from featureconvex.training.fit import fit
from featureconvex.training.points import Points
from featureconvex.training.principal import PrincipalBasis
from featureconvex.training.recipes import Recipe, default

SHAPE = (3, 2, 4)


def _points(n: int = 60) -> Points:
    generator = torch.Generator().manual_seed(1)
    mixing = torch.randn(24, 24, generator=generator)
    x = (torch.randn(n, 24, generator=generator) @ mixing + 5).reshape(n, *SHAPE)
    return Points(x, (x.mean(dim=(1, 2, 3)) > 5).long())


@pytest.mark.parametrize("components", [1, 6, 24, 1000])
def test_the_model_taken_back_has_the_same_margins_and_slopes(components: int) -> None:
    """Also away from the points, and where fewer directions than coordinates were kept."""
    points = _points()
    basis = PrincipalBasis.of(points.x, components, seed=3)
    rank = min(components, 24)
    torch.manual_seed(0)
    inner = fc.FeatureConvexModel(
        fc.features.Center(torch.randn(rank)), fc.nn.ConvexMLP(rank, (8, 4)), tau=0.7
    )
    outer = basis.unfold(inner)
    elsewhere = Points(torch.randn(40, *SHAPE) * 9, torch.zeros(40))
    for part in (points, elsewhere):
        u = basis.coordinates(part).x
        torch.testing.assert_close(outer(part.x), inner(u), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(
            tangent(outer, part.x).slope.flatten(1).norm(dim=1),
            tangent(inner, u).slope.norm(dim=1),
        )


def test_the_basis_is_orthonormal_and_finds_where_the_points_vary() -> None:
    points = _points(400)
    basis = PrincipalBasis.of(points.x, 5)
    gram = basis.directions.T @ basis.directions
    torch.testing.assert_close(gram, torch.eye(5, dtype=torch.float64), rtol=0, atol=1e-12)
    flat = points.x.flatten(1).double()
    truth = torch.linalg.svdvals(flat - flat.mean(dim=0))[:5]
    kept = (basis.coordinates(points).x.double()).square().sum().sqrt()
    assert float(kept) == pytest.approx(float(truth.norm()), rel=0.01)


def test_fewer_points_than_components() -> None:
    points = _points(4)
    assert basis_width(PrincipalBasis.of(points.x, 10), points) == 4


def basis_width(basis: PrincipalBasis, points: Points) -> int:
    return basis.coordinates(points).x.shape[1]


def test_another_model_is_refused() -> None:
    basis = PrincipalBasis.of(_points().x, 6)
    inner = fc.FeatureConvexModel(fc.features.Identity(), fc.nn.ConvexMLP(6, (4,)))
    with pytest.raises(TypeError, match="centred ConvexMLP"):
        basis.unfold(inner)


def test_fit_returns_a_model_for_the_raw_points_that_scores_what_it_says() -> None:
    x = _points(300).x
    leading = PrincipalBasis.of(x, 1).coordinates(Points(x, torch.zeros(300))).x
    points = Points(x, (leading[:, 0] > 0).long())
    recipe = Recipe("r", temperature=1.0, learning_rate=0.03, epochs=10, principal=12)

    def build(x: torch.Tensor) -> fc.FeatureConvexModel:
        return fc.FeatureConvexModel(
            fc.features.Center(x.mean(dim=0)), fc.nn.ConvexMLP(x[0].numel(), (16, 4))
        )

    fitted = fit(Architecture(build), recipe, points)
    right = (fitted.model(points.x) > 0) == (points.y == 1)
    assert float(right.double().mean()) > 0.9
    assert fitted.train_accuracy == pytest.approx(float(right.double().mean()), abs=0.05)
    assert fitted.model.feature_map.output_shape(SHAPE) == SHAPE


def test_only_l2_without_costs_may_be_rotated() -> None:
    for norm in (1.0, math.inf):
        with pytest.raises(UserError, match="l2 lengths only"):
            Recipe("r", norm=norm, principal=3)
        assert default((100, 3, 8, 8), norm).principal == 0
    assert default((100, 3, 8, 8), 2.0).principal > 0
    x = torch.randn(60, 3)
    architecture, cost = table_architecture(x, (4,), torch.device("cpu"))
    recipe = Recipe("r", temperature=1.0, principal=2)
    with pytest.raises(UserError, match="exclude each other"):
        fit(architecture, recipe, Points(x, (x[:, 0] > 0).long()), cost=cost)
