"""Composition: what the calculus keeps, and where it must not be sharper than the truth."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from featureconvex import UserError
from featureconvex.features import AbsConcat, Center, Compose, FeatureMap, Identity, Scale
from featureconvex.testing import FeatureMapCase, check_feature_map


class Rotation(FeatureMap):
    """An affine map that mixes two coordinates: nonexpansive in l2 only."""

    affine = True

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack((0.6 * x[:, 0] - 0.8 * x[:, 1], 0.8 * x[:, 0] + 0.6 * x[:, 1]), 1)

    def lipschitz(self, p: float) -> float:
        # Riesz and Thorin: log-convex between 1.4 (l1, linf) and 1 (l2).
        return float(1.4 ** abs(2 / p - 1))

    def pullback(self, v: Tensor) -> Tensor:
        return torch.stack((0.6 * v[:, 0] + 0.8 * v[:, 1], -0.8 * v[:, 0] + 0.6 * v[:, 1]), 1)

    def config(self) -> dict[str, Any]:
        return {}


class Squash(FeatureMap):
    """Neither affine nor coordinatewise: ``x / (1 + ||x||_2)``, nonexpansive up to 2."""

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x / (1 + torch.linalg.vector_norm(x, dim=1, keepdim=True))
        return out

    def lipschitz(self, p: float) -> float:
        # l2: the Jacobian's norm is at most 1; other p: at most the factor sqrt 2 of norms in R^2.
        return float(2 ** abs(1 / p - 0.5))

    def config(self) -> dict[str, Any]:
        return {}


@pytest.mark.parametrize(
    "make",
    [
        Rotation,
        Squash,
        lambda: Compose(Rotation(), AbsConcat()),
        lambda: Compose(Scale([3.0, -0.5]), Rotation(), AbsConcat(), Scale([1.0, 2.0, 0.0, 1.0])),
        lambda: Compose(AbsConcat(), Scale(2.0), Compose(Identity(), Center(1.0))),
        lambda: Compose(Center(0.5), Squash(), Rotation()),
        lambda: Compose(Squash(), Scale([2.0, 4.0]), AbsConcat()),
    ],
)
def test_maps_of_a_user_compose_soundly(make: Any) -> None:
    check_feature_map(FeatureMapCase(make, (2,)))


def test_flags_need_every_part() -> None:
    assert Compose(Rotation(), Scale(2.0)).affine
    assert not Compose(Rotation(), Scale(2.0)).coordinatewise
    assert not Compose(Rotation(), AbsConcat()).affine


def test_constants_multiply() -> None:
    phi = Compose(Scale(3.0), AbsConcat(), AbsConcat(), Scale([0.5] * 8))
    assert phi.lipschitz(2) == pytest.approx(3.0)
    assert phi.lipschitz(1) == pytest.approx(6.0)


def test_a_diagonal_map_in_front_loses_nothing() -> None:
    """Only the coordinate that is scaled up is cheap for the attacker."""
    v = torch.tensor([[1.0, 1.0, 0.0, 0.0]]).double()
    found = Compose(Scale([100.0, 1.0]), AbsConcat()).sensitivity(v, math.inf)
    assert float(found) == pytest.approx(101.0)


def test_an_ignored_coordinate_costs_nothing() -> None:
    v = torch.ones(1, 4).double()
    cost = torch.tensor([1e-9, 1.0]).double()
    found = Compose(Scale([0.0, 1.0]), AbsConcat()).sensitivity(v, 1, cost)
    assert float(found) == pytest.approx(2.0)


def test_a_subclass_of_scale_is_not_taken_for_one() -> None:
    class Clipped(Scale):
        affine = False

        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).clamp(-1, 1)

        def lipschitz(self, p: float, s: float | None = None) -> float:
            return 2 * super().lipschitz(p)

    v = torch.tensor([[1.0, 0.0]]).double()
    found = Compose(Clipped([1.0]), AbsConcat()).sensitivity(v, math.inf)
    assert float(found) == pytest.approx(2.0)


def test_a_nested_composition_is_the_flat_one() -> None:
    """A scale after two brackets still only changes the cost."""
    nested = Compose(Compose(Center(1.0), Compose(Scale([100.0, 1.0]))), AbsConcat())
    flat = Compose(Center(1.0), Scale([100.0, 1.0]), AbsConcat())
    assert [type(part) for part in nested.parts()] == [type(part) for part in flat.parts()]
    v = torch.tensor([[1.0, 1.0, 0.0, 0.0]]).double()
    assert torch.equal(nested.sensitivity(v, 1), flat.sensitivity(v, 1))
    nested.load_state_dict(flat.state_dict())


def test_nothing_to_compose_is_refused() -> None:
    with pytest.raises(UserError, match="at least one"):
        Compose()


def test_only_feature_maps_compose() -> None:
    with pytest.raises(UserError, match=r"takes feature maps one by one.*got Linear\("):
        Compose(AbsConcat(), torch.nn.Linear(4, 4))  # type: ignore[arg-type]


def test_flags_follow_a_map_that_is_put_in_anothers_place() -> None:
    chain = Compose(Center(0.5), Scale(2.0))
    assert (chain.affine, chain.coordinatewise) == (True, True)
    chain.maps[1] = Squash()
    assert (chain.affine, chain.coordinatewise) == (False, False)
    v = torch.ones(1, 2)
    assert float(chain.sensitivity(v, 2)) == pytest.approx(math.sqrt(2))


def test_a_centre_divides_no_cost_whatever_its_buffer_says() -> None:
    center = Center(0.5)
    chain = Compose(center, Rotation())
    center.scale.fill_(0.1)
    cost = torch.ones(2, dtype=torch.float64)
    assert chain.lipschitz_per_cost(cost, 2) == pytest.approx(1)
    assert float(chain.sensitivity(torch.ones(1, 2), 2, cost)) == pytest.approx(math.sqrt(2))


@pytest.mark.parametrize("scale", [7.1e-46, 2.2e-45, 1e-39])
def test_factors_below_the_normal_numbers_of_float32_count_as_float32_has_them(
    scale: float,
) -> None:
    phi = Scale([scale, scale / 2])
    x, y = torch.zeros(1, 2), torch.full((1, 2), 1e38)
    moved = float((phi(y) - phi(x)).double().abs().max())
    assert phi.lipschitz(math.inf) * 1e38 >= moved * (1 - 1e-6)
    chain = Compose(phi, Squash())
    assert chain.lipschitz_per_cost(torch.ones(2, dtype=torch.float64), math.inf) >= phi.lipschitz(
        math.inf
    )
