import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from featureconvex.baselines.splitting.noise import SNAP, SplitNoise, cell_starts
from featureconvex.errors import UserError

IMAGES = SplitNoise.of(0.75, image=True)


@pytest.mark.parametrize(
    "stored",
    [
        lambda k: k.float() / 255,
        lambda k: k.float() * (1 / 255),
        lambda k: (k.double() / 255).float(),
        lambda k: k.double() / 255,
    ],
    ids=["divided", "multiplied", "from float64", "float64"],
)
def test_pictures_of_8_bits_are_on_the_grid(stored) -> None:  # type: ignore[no-untyped-def]
    k = torch.arange(256)
    whole, part = IMAGES.levels(stored(k))
    assert torch.equal(whole, k)
    assert not part.any()


def test_levels_follow_inputs_at_the_stated_speed() -> None:
    x = torch.rand(100_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x = torch.cat((x * 1.2 - 0.1, x[:3000] * 3e-4, torch.arange(256) / 255 + 1e-7)).sort().values
    whole, part = IMAGES.levels(x)
    z = whole + part
    assert z[0] == 0
    assert z[-1] == 255
    assert bool(((part >= 0) & (part < 1)).all())
    steps, moved = z.diff(), x.diff().abs() * 255
    assert bool((steps >= 0).all())
    assert bool((steps <= moved / (1 - 2 * SNAP) + 1e-11).all())
    assert float((z - x.clamp(0, 1) * 255).abs().max()) <= SNAP


def test_a_coordinate_is_seen_as_above_or_below_or_not_at_all() -> None:
    noise = SplitNoise(0.5, 0.5, offsets=6, top=4)
    levels = torch.tensor([[2, 2, 2, 2]])
    seen = noise.seen(levels, torch.tensor([[0, 1, 2, 5]]))[0]
    assert torch.equal(seen[0], torch.tensor([1.0, 1, 0, 0]))
    assert torch.equal(seen[1], torch.tensor([0.5 / 4, 1.5 / 4, 0, 0]))
    assert torch.equal(seen[2], torch.tensor([0.0, 0, 1, 0]))
    assert torch.equal(seen[3], torch.tensor([0, 0, 1 - 2.5 / 4, 0]))


@given(st.integers(0, 6), st.integers(0, 3), st.integers(0, 6), st.integers(0, 6))
def test_a_level_shows_at_one_offset(extra: int, start: int, low: int, high: int) -> None:
    # The fact behind the certificate: k levels apart, k of the Q offsets tell.
    noise = SplitNoise(0.5, 0.5, offsets=6 + extra, top=6)
    cells = ((start + torch.arange(noise.offsets)) % noise.offsets)[:, None]
    first = noise.seen(torch.full_like(cells, low), cells)
    second = noise.seen(torch.full_like(cells, high), cells)
    assert (first != second).any(dim=1).sum() == abs(low - high)


def test_starts_reveal_as_many_coordinates_at_every_offset() -> None:
    starts = cell_starts(784, 2650, seed=3)
    cells = (starts + torch.arange(2650)[:, None]) % 2650
    seen = (cells < 255).sum(dim=1)
    assert seen.max() - seen.min() <= 1
    assert not torch.equal(starts, cell_starts(784, 2650, seed=4))
    assert torch.equal(starts, cell_starts(784, 2650, seed=3))


@pytest.mark.parametrize("sigma", [0.75, 3.0])
def test_sigma_is_the_standard_deviation_of_a_split(sigma: float) -> None:
    splits = (torch.arange(SplitNoise.of(sigma, image=True).offsets) + 0.5) / 255
    assert math.isclose(float(splits.std(correction=0)), sigma, rel_tol=2e-3)


def test_columns_are_told_apart_as_far_as_the_noise_reaches() -> None:
    assert SplitNoise.of(0.75, image=False).offsets == 255
    wide = SplitNoise.of(3.0, image=False)
    assert wide.reach == 3
    assert math.isclose(wide.offsets * wide.level_width, 2 * 3 * 3**0.5, rel_tol=1e-2)


@pytest.mark.parametrize("sigma", [0.0, -1.0, math.nan, math.inf])
def test_sigma_must_be_positive(sigma: float) -> None:
    with pytest.raises(UserError, match="positive"):
        SplitNoise.of(sigma, image=True)


def test_images_need_splits_that_reach_all_values() -> None:
    with pytest.raises(UserError, match=r"0\.289"):
        SplitNoise.of(0.25, image=True)
