"""The construction is right about every training point, with few pieces."""

import numpy as np
import pytest
import torch

import featureconvex as fc
from featureconvex.data import find_task, to_tensor
from featureconvex.errors import UserError
from featureconvex.models.file import load_model, save_model
from featureconvex.theory.perfect_fit import greedy_cover, perfect_fit
from featureconvex.theory.separability import Lattice


def _classes(name: str) -> tuple[torch.Tensor, np.ndarray, Lattice, Lattice]:
    train = find_task(name).load().train
    lattice = Lattice.of(train.x)
    return to_tensor(train.x), train.y, lattice.take(train.y == 1), lattice.take(train.y == 0)


@pytest.mark.parametrize("prune", [True, False])
def test_every_training_point_is_on_its_side(prune: bool, tmp_path: object) -> None:
    x, y, sensitive, others = _classes("digits-3-8")
    model = perfect_fit(sensitive, others, prune)
    assert isinstance(model.convex_net, fc.nn.MaxAffine)
    if prune:
        assert model.convex_net.pieces < len(sensitive) / 4
    else:
        assert model.convex_net.pieces == len(sensitive)
    place = save_model(model, f"{tmp_path}/model")
    stored = load_model(place)[0].eval()
    with torch.no_grad():
        assert ((stored(x.flatten(1)) > 0).numpy() == (y == 1)).all()


def test_its_certificates_hold_and_every_piece_has_slope_one() -> None:
    x, y, sensitive, others = _classes("digits-3-8")
    model = perfect_fit(sensitive, others)
    flagged = x.flatten(1)[torch.from_numpy(y == 1)][:20]
    assert isinstance(model.convex_net, fc.nn.MaxAffine)
    slopes = torch.linalg.vector_norm(model.convex_net.affine.weight.double(), dim=1)
    torch.testing.assert_close(slopes, torch.ones_like(slopes), rtol=1e-5, atol=0)
    with torch.no_grad():
        margin = model(flagged).numpy()
    plain = fc.certify(model, flagged, fc.Lp(2)).radius
    tight = fc.certify(model, flagged, fc.Lp(2), level="tight")
    np.testing.assert_allclose(plain, margin, rtol=1e-5)
    assert (tight.radius >= plain * (1 - 1e-9)).all()
    # No classifier that passes the other class can promise more than half-way to it and back.
    nearest = torch.cdist(flagged.double(), x.flatten(1)[torch.from_numpy(y == 0)].double()).amin(1)
    assert (plain < nearest.numpy()).all()


def test_there_is_none_where_a_point_is_inside() -> None:
    square = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.5, 0.5], [3.0, 3.0]])
    lattice = Lattice.of(square)
    with pytest.raises(UserError, match="1 sensitive points, point 0 first"):
        perfect_fit(lattice.take(np.array([4, 5])), lattice.take(np.arange(4)))


def test_points_that_float32_cannot_tell_apart_are_named() -> None:
    lattice = Lattice.of(np.array([[1.0], [1.0 + 2.0**-40], [0.0]]))
    with pytest.raises(UserError, match="float32"):
        perfect_fit(lattice.take(np.array([1])), lattice.take(np.array([0, 2])))


def test_the_cover_is_one() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        cover = rng.random((12, 30)) < 0.2
        cover[rng.integers(0, 12, 30), np.arange(30)] = True
        chosen = greedy_cover(cover)
        points = [point for _, mine in chosen for point in mine]
        assert sorted(points) == list(range(30))
        assert all(cover[row, mine].all() for row, mine in chosen)
    with pytest.raises(ValueError, match="no row"):
        greedy_cover(np.array([[True, False]]))
