"""A row's answer at level ``tight`` does not depend on how hard the other rows are."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

import featureconvex as fc
from featureconvex.certificates.levels.tight import Tight
from featureconvex.certificates.levels.tight.interior_point import LinearPrograms, interior_point
from featureconvex.features import AbsConcat, FeatureMap, Identity

SIZE, ROWS = 12, 14


def model_and_rows(phi: FeatureMap, outputs: int) -> tuple[fc.FeatureConvexModel, Tensor]:
    """Rows near the border, whose brackets close at once, and far from it."""
    torch.manual_seed(1)
    model = fc.FeatureConvexModel(phi, fc.nn.ConvexMLP(outputs, (16, 8))).double().eval()
    x = torch.randn(ROWS, SIZE).double() * torch.logspace(-2, 1, ROWS).double()[:, None]
    with torch.no_grad():
        model.tau -= model(x).median()
    return model, x


# With the most rows that rounding may send another way: for p = inf a bracket's steps end at kinks.
@pytest.mark.parametrize(
    ("phi", "outputs", "p", "astray"),
    [
        (Identity(), SIZE, 1, 1),
        (Identity(), SIZE, math.inf, 3),
        (AbsConcat(), 2 * SIZE, 1, 1),
        (AbsConcat(), 2 * SIZE, math.inf, 1),
    ],
)
def test_a_row_alone_and_among_others(phi: FeatureMap, outputs: int, p: float, astray: int) -> None:
    model, x = model_and_rows(phi, outputs)
    level = Tight(iterations=3, attacks=False)
    among = fc.certify(model, x, fc.Lp(p), fc.Unbounded(), level).radius
    alone = np.concatenate(
        [fc.certify(model, row[None], fc.Lp(p), fc.Unbounded(), level).radius for row in x]
    )
    rows = among > 0
    assert rows.sum() >= 5
    away = np.abs(alone[rows] / among[rows] - 1)
    assert (away > 1e-6).sum() <= astray
    assert (away <= 0.05).all()


def programs(rows: int) -> LinearPrograms:
    """The same linear program in every row."""
    torch.manual_seed(1)
    slopes = torch.randn(1, 6, 20).double().expand(rows, 6, 20)
    room = torch.full((rows, 20), 50.0).double()
    ones = torch.ones(rows, 6).double()
    return LinearPrograms(slopes, ones, room, room, ones)


def test_a_linear_program_is_solved_as_far_as_its_own_tolerance_asks() -> None:
    loose, close = (torch.full((1,), gap).double() for gap in (0.3, 1e-7))
    alone, _ = interior_point(programs(1), close)
    early, _ = interior_point(programs(1), loose)
    assert (early - alone).abs().max() > 1e-6
    for one, other, wanted in ((close, loose, alone), (loose, close, early)):
        mixed, _ = interior_point(programs(8), torch.cat((one, other.repeat(7))))
        torch.testing.assert_close(mixed[:1], wanted, rtol=1e-9, atol=1e-12)
