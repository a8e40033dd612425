"""Votes and radii against direct enumeration, on problems small enough to try every input."""

import itertools

import numpy as np
import pytest
import torch
from tests.baselines.splitting.test_network import network
from torch import Tensor

from featureconvex.baselines.splitting.noise import SNAP, SplitNoise, cell_starts
from featureconvex.baselines.splitting.votes import Decisions, SplitVotes

ZERO = torch.zeros((), dtype=torch.float64)


def votes_for(
    shape: tuple[int, ...], noise: SplitNoise, scale: float = 4.0, hidden: tuple[int, int] = (8, 4)
) -> SplitVotes:
    """Of a random network whose decisions change from split to split."""
    made = network(shape, hidden)
    with torch.no_grad():
        made.first.weight.mul_(scale)
    made.round_weights()
    return SplitVotes(made, noise, cell_starts(torch.Size(shape).numel(), noise.offsets, seed=1))


def seen_at(votes: SplitVotes, levels: Tensor) -> Tensor:
    """What the network sees of whole levels (d,) at every offset, the slow way: (Q, 4, d)."""
    offsets = torch.arange(votes.noise.offsets)[:, None]
    cells = (votes.starts + offsets) % votes.noise.offsets
    return votes.noise.seen(levels.expand_as(cells), cells)


def direct_scores(votes: SplitVotes, levels: Tensor) -> Tensor:
    """The network's scores of whole levels (d,) at every offset, the slow way: (Q,) float64."""
    seen, top = seen_at(votes, levels), votes.noise.top
    # Channels are multiples of 1 / (2 top): as whole numbers they are exact.
    whole = votes.network._averaged((seen.double() * 2 * top).round()) * votes.network.square**2
    weights = torch.cat([w.T for w in votes.network.channel_weights()], dim=1)
    return votes.network.scores(whole.flatten(1) @ weights.T / votes.denominator)


def direct_votes(votes: SplitVotes, x: Tensor, tau: Tensor) -> float:
    """The votes of a real input: the mean over all ``u`` between neighbouring parts."""
    whole, part = votes.noise.levels(x.flatten())
    edges = sorted({0.0, *part.tolist(), 1.0})
    total = 0.0
    for low, high in itertools.pairwise(edges):
        decided = direct_scores(votes, whole + (part > (low + high) / 2)) + tau > 0
        total += float(decided.sum()) * (high - low)
    return total


@pytest.mark.parametrize(
    ("shape", "noise"),
    [
        ((1, 3, 3), SplitNoise(0.5, 0.5, offsets=9, top=5)),
        ((4,), SplitNoise(0.0, 2.0, offsets=7, top=7)),
        ((1, 2, 2), SplitNoise.of(0.75, image=True)),
        ((1, 66, 70), SplitNoise(0.5, 0.5, offsets=12, top=8)),
    ],
    ids=["image", "table", "255 levels", "averaged"],
)
def test_fast_enumeration_is_the_slow_one_to_the_last_bit(
    shape: tuple[int, ...], noise: SplitNoise
) -> None:
    votes = votes_for(shape, noise)
    generator = torch.Generator().manual_seed(0)
    for low in (0, 0, noise.top):
        d = torch.Size(shape).numel()
        levels = torch.randint(low, noise.top + 1, (d,), generator=generator)
        levels[::3] = 0 if low == 0 else noise.top
        x = noise.centre - noise.reach + levels * noise.level_width
        decisions = votes.decide(x.reshape(shape))
        assert torch.equal(decisions.scores, direct_scores(votes, levels))
        assert torch.equal(decisions.lengths, torch.ones(noise.offsets, dtype=torch.float64))


@pytest.mark.parametrize("draw", range(4))
def test_votes_off_the_grid_are_the_mean_over_all_roundings(draw: int) -> None:
    noise = SplitNoise(0.5, 0.5, offsets=8, top=5)
    votes = votes_for((6,), noise)
    generator = torch.Generator().manual_seed(draw)
    x = torch.rand(6, generator=generator, dtype=torch.float64)
    # On the grid, at the end, and two with the same part.
    x[0], x[1], x[2], x[3] = 0.4, 1.0, x[3] * 0.7 + 0.2, x[3] * 0.7
    decisions = votes.decide(x)
    assert len(decisions.scores) == 8 + 4
    assert torch.isclose(decisions.lengths.sum(), torch.tensor(8.0, dtype=torch.float64))
    for cut in (-0.2, 0.0, 0.2):
        tau = -decisions.scores.mean() + cut
        assert abs(decisions.votes(tau) - direct_votes(votes, x, tau)) < 1e-9


def test_no_input_inside_a_radius_is_missed() -> None:
    # All 4^4 quantised inputs against all others: the paper's statement, by brute force.
    noise = SplitNoise(0.5, 0.5, offsets=7, top=3)
    votes = votes_for((4,), noise)
    grid = torch.tensor(list(itertools.product(range(4), repeat=4)))
    decided = [votes.decide(levels / 3) for levels in grid]
    tau = -torch.tensor([d.majority_score() for d in decided], dtype=torch.float64).median()
    counts = np.array([d.votes(tau) for d in decided])
    assert (counts == counts.round()).all()
    flagged = counts > 7 / 2
    assert 20 < flagged.sum() < 236
    distance = (grid[:, None] - grid[None]).abs().sum(dim=2).numpy()
    nearest = np.where(flagged[None], np.inf, distance).min(axis=1)
    assert (counts[flagged] - 7 / 2 <= nearest[flagged]).all()
    # The bound of which that follows, and which is attained.
    gaps = np.abs(counts[:, None] - counts[None])
    assert (gaps <= distance).all()
    assert (gaps[distance == 1] == 1).any()


@pytest.mark.parametrize("near", [False, True], ids=["far", "near"])
def test_votes_of_real_inputs_move_no_faster_than_levels(near: bool) -> None:
    noise = SplitNoise(0.5, 0.5, offsets=40, top=10)
    votes = votes_for((5,), noise, scale=20.0)
    generator = torch.Generator().manual_seed(5)
    ratios = []
    for _ in range(150):
        x = torch.rand(5, generator=generator, dtype=torch.float64)
        move = torch.randn(5, generator=generator, dtype=torch.float64) * (0.01 if near else 0.3)
        first, second = votes.decide(x), votes.decide(x + move)
        tau = -torch.cat((first.scores, second.scores)).median()
        gap = abs(first.votes(tau) - second.votes(tau))
        # Beyond the ends of the range nothing moves.
        moved = ((x + move).clamp(0, 1) - x).abs().sum() * 10
        ratios.append(gap * (1 - 2 * SNAP) / float(moved))
    assert max(ratios) <= 1 + 1e-9
    assert max(ratios) > 0.2


def test_the_majoritys_score_decides() -> None:
    decisions = Decisions(
        torch.tensor([3.0, -1.0, 2.0, 0.5], dtype=torch.float64),
        torch.tensor([0.5, 1.0, 0.25, 0.75], dtype=torch.float64),
    )
    assert decisions.majority_score() == 0.5
    assert decisions.votes(-torch.tensor(0.4, dtype=torch.float64)) > 1.25
    assert decisions.votes(-torch.tensor(0.5, dtype=torch.float64)) < 1.25
    assert decisions.votes(ZERO) == 1.5
    tied = Decisions(torch.tensor([2.0, 1.0]).double(), torch.ones(2).double())
    assert tied.majority_score() == 1  # half is not a majority
