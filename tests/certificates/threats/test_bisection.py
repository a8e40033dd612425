"""The largest count below a limit is what trying all numbers finds, for every nondecreasing value."""

from collections.abc import Callable

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from featureconvex.certificates.threats.bisection import BITS, _largest_count

SHAPES: dict[str, Callable[[Tensor], Tensor]] = {
    "straight": lambda k: 3e-4 * k,
    "concave": lambda k: k / (k + 900),
    "root": lambda k: 0.02 * k.sqrt(),
    "convex": lambda k: (1e-3 * k) ** 2,
    "stairs": lambda k: 0.05 * (k / 37).floor(),
    "a jump": lambda k: (k > 1234).double(),
}


@given(shape=st.sampled_from(sorted(SHAPES)), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_it_is_the_number_that_trying_all_finds(shape: str, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    limit = torch.rand(6, generator=generator, dtype=torch.float64)
    everything = SHAPES[shape](torch.arange(1, 5000, dtype=torch.float64))
    truth = (everything[:, None] < limit).sum(0)
    asked: list[Tensor] = []

    def value(count: Tensor) -> Tensor:
        asked.append(count)
        return SHAPES[shape](count)

    found = _largest_count(value, limit)
    known = truth < len(everything)
    assert torch.equal(found[known].long(), truth[known])
    assert bool((SHAPES[shape](found[~known] + 1) >= limit[~known]).all())
    assert len(asked) <= 2 * BITS


def test_limits_that_nothing_or_everything_reaches() -> None:
    limit = torch.tensor([-1.0, 0.0, torch.nan, torch.inf], dtype=torch.float64)
    assert _largest_count(lambda k: k, limit).tolist() == [0, 0, 0, 2**BITS - 1]
    never = _largest_count(lambda k: k * torch.nan, torch.ones(2, dtype=torch.float64))
    assert never.tolist() == [0, 0]
