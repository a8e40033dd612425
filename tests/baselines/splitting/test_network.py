import pytest
import torch

from featureconvex.baselines.splitting.network import WEIGHT_UNIT, SplitNetwork, check_exact
from featureconvex.errors import UserError
from featureconvex.testing.law import build


def network(shape: tuple[int, ...], hidden: tuple[int, int] = (8, 4)) -> SplitNetwork:
    made = build(lambda: SplitNetwork(shape, hidden))
    made.round_weights()
    return made


@pytest.mark.parametrize("shape", [(2, 70, 130), (1, 65, 64), (3, 4, 5), (7,)], ids=str)
def test_coordinates_are_averaged_into_the_inputs_named(shape: tuple[int, ...]) -> None:
    made = network(shape)
    seen = torch.rand(2, 4, torch.Size(shape).numel(), dtype=torch.float64)
    index = made.input_of_coordinate().expand_as(seen)
    sums = torch.zeros(2, 4, made.inputs, dtype=torch.float64).scatter_add_(2, index, seen)
    assert torch.allclose(sums / made.square**2, made._averaged(seen))


def test_the_layers_after_the_first_are_those_that_were_trained() -> None:
    made = network((1, 5, 5))
    seen = torch.rand(50, 4, 25)
    weights = torch.cat([w.T for w in made.channel_weights()], dim=1)
    exact = made.scores(seen.double().flatten(1) @ weights.T)
    # Hidden values are rounded to 2^-12.
    assert torch.allclose(exact, made(seen).double(), atol=3e-3)


def test_scores_do_not_depend_on_the_company() -> None:
    made = network((1, 5, 5), (256, 64))
    responses = torch.randn(1000, 256, dtype=torch.float64) * 3
    together = made.scores(responses)
    assert torch.equal(together[::7], made.scores(responses[::7]))
    assert torch.equal(together[[13]], made.scores(responses[[13]]))
    assert torch.equal(together.flip(0), made.scores(responses.flip(0)))


def test_weights_are_rounded_for_good() -> None:
    made = network((6,))
    for parameter in made.parameters():
        assert torch.equal((parameter / WEIGHT_UNIT).round() * WEIGHT_UNIT, parameter)
    before = [p.clone() for p in made.parameters()]
    made.round_weights()
    assert all(torch.equal(a, b) for a, b in zip(before, made.parameters(), strict=True))


@pytest.mark.parametrize("bad", [300.0, float("nan")])
def test_weights_that_cannot_be_rounded_are_refused(bad: float) -> None:
    made = SplitNetwork((6,))
    with torch.no_grad():
        made.second.weight[0, 0] = bad
    with pytest.raises(UserError, match="diverged"):
        made.round_weights()


def test_sums_that_float64_would_round_are_refused() -> None:
    check_exact(2.0**51, 1.0)
    with pytest.raises(UserError, match="too large for exact sums"):
        check_exact(2.0**52, 1.0)
    with pytest.raises(UserError, match="too large for exact sums"):
        check_exact(float("nan"), 1.0)
    with pytest.raises(UserError, match="too large for exact sums"):
        network((6,)).scores(torch.full((1, 8), 2.0**24, dtype=torch.float64))
