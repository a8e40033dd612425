"""Shifts repeat the edge, flips mirror, tables stay."""

import numpy as np
import pytest
import torch

from featureconvex.training.augmentation import Augmentation


@pytest.mark.parametrize("shape", [(7, 1, 5, 6), (4, 3, 8, 8)])
def test_every_image_is_one_of_its_shifts(shape: tuple[int, int, int, int]) -> None:
    x = torch.rand(shape)
    out = Augmentation(shift=1)(x, torch.Generator().manual_seed(0))
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    height, width = shape[2:]
    for image, before in zip(out.numpy(), padded, strict=True):
        crops = [before[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]
        assert any(np.array_equal(image, crop) for crop in crops)
    assert not torch.equal(out, x)


def test_flips_happen_to_some() -> None:
    x = torch.rand(40, 1, 4, 4)
    out = Augmentation(flip=True)(x, torch.Generator().manual_seed(0))
    same = (out == x).flatten(1).all(1)
    mirrored = (out == x.flip(-1)).flatten(1).all(1)
    assert (same | mirrored).all()
    assert 5 < int(mirrored.sum()) < 35


def test_tables_are_left_alone() -> None:
    x = torch.rand(5, 3)
    assert Augmentation(shift=2, flip=True)(x, torch.Generator()) is x
