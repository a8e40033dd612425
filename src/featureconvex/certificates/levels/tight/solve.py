"""Brackets for a whole problem: chunks of rows, rows that stop as they close, and a check at the end."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from featureconvex.certificates.levels.problem import Problem
from featureconvex.certificates.levels.rounding_check import FARTHEST, cannot_fall, hidden_slope
from featureconvex.certificates.levels.tight.bracket import Bracketing
from featureconvex.certificates.levels.tight.certify_unbounded import proved_unbounded
from featureconvex.certificates.levels.tight.cuts import Cuts
from featureconvex.certificates.levels.tight.geometry import Geometry
from featureconvex.certificates.minorant import Minorant

# Numbers per chunk of inputs: the cuts of a chunk should stay near the processor.
CHUNK = 2**18
# Share of closed rows at which the others move together.
DROP = 0.1


@dataclass(frozen=True)
class Mixture:
    """A minorant as a mixture of tangents, for some rows of a batch.

    Attributes:
        rows: (m,) int64, rows of the batch.
        points: (m, k, d), where the tangents touch, in the input's space.
        weights: (m, k) float64, >= 0, summing to 1.
    """

    rows: Tensor
    points: Tensor
    weights: Tensor


@dataclass(frozen=True)
class Bracket:
    """The outcome for n rows.

    Attributes:
        minorant: the best found, the tangent at x where nothing better was.
        upper: (n,) float64, budget of the best attack, re-evaluated on the final input; nan where none.
        attack: (n, ...) the attack's input; x where none.
        rounds: (n,) int64, tangents used beyond the first.
        unbounded: (n,) bool, the margin is proved positive in the whole domain, whatever the minorant.
        mixtures: how the minorants are made, only if asked for.
    """

    minorant: Minorant
    upper: Tensor
    attack: Tensor
    rounds: Tensor
    unbounded: Tensor
    mixtures: list[Mixture] = field(default_factory=list)


def has_bracket(problem: Problem) -> bool:
    """Whether the problem is convex: affine features, and a budget that is a norm."""
    return problem.model.feature_map.affine and problem.threat.exponent is not None


def sensitive_chunks(problem: Problem, numbers: int) -> list[Tensor]:
    """Rows with something to certify, finite and inside their domain, in chunks (m,) int64.

    Args:
        problem: the problem.
        numbers: input numbers per chunk.
    """
    line = problem.tangent
    good = torch.isfinite(problem.x).flatten(1).all(1) & torch.isfinite(line.value)
    good &= torch.isfinite(line.slope).flatten(1).all(1)
    good &= problem.domain.contains(problem.x) & (line.value > 0)
    rows = good.nonzero().squeeze(1)
    size = max(1, numbers // max(1, problem.x[:1].numel()))
    return list(torch.split(rows, size)) if len(rows) else []


@torch.no_grad()
def bracket(
    problem: Problem, iterations: int = 20, tolerance: float = 0.01, keep_points: bool = False
) -> Bracket:
    """Close the bracket of every sensitive row of a problem with affine features and an Lp threat.

    Args:
        problem: the problem.
        iterations: rounds per row at most.
        tolerance: a row stops when its bracket is this narrow, relative to its upper end.
        keep_points: whether to answer with mixtures.
    """
    line = problem.tangent
    answer = Bracket(
        Minorant(line.value.clone(), line.slope.to(torch.float64, copy=True)),
        torch.full_like(line.value, torch.nan),
        problem.x.clone(),
        torch.zeros(len(line.value), dtype=torch.int64, device=line.value.device),
        torch.zeros(len(line.value), dtype=torch.bool, device=line.value.device),
    )
    for rows in sensitive_chunks(problem, CHUNK):
        _solve(problem, rows, answer, (iterations, tolerance), keep_points)
    return answer


def _solve(
    problem: Problem,
    rows: Tensor,
    answer: Bracket,
    limits: tuple[int, float],
    keep_points: bool,
) -> None:
    iterations, tolerance = limits
    line = Minorant(problem.tangent.value[rows], problem.tangent.slope[rows])
    geometry = Geometry.of(problem, rows)
    method = Bracketing(problem.model, geometry, line, keep_points or not geometry.enclosed)
    done = torch.zeros_like(rows, dtype=torch.bool)
    for k in range(iterations + 1):
        closes = ~done & (method.state.closed(tolerance) | (k == iterations))
        done = done | closes
        # A row is answered as it closes, so that no other row has a say in when.
        _close(problem, method, rows, closes.nonzero().squeeze(1), answer, keep_points)
        if bool(done.all()):
            return
        # Dropping rows copies the others' cuts: it waits for enough of them.
        if float(done.double().mean()) > DROP:
            method.keep((~done).nonzero().squeeze(1))
            done = done[~done]
        method.round()


def _close(
    problem: Problem,
    method: Bracketing,
    rows: Tensor,
    index: Tensor,
    answer: Bracket,
    keep_points: bool,
) -> None:
    """Write the answers of some open rows."""
    if not len(index):
        return
    state, cuts = method.state.rows(index), method.cuts.rows(index)
    where = rows[method.open[index]]
    value, slope = cuts.mixture(state.weights)
    shape = answer.minorant.slope.shape[1:]
    answer.minorant.value[where] = value
    answer.minorant.slope[where] = slope.reshape(-1, *shape)
    answer.rounds[where] = cuts.count - 1
    geometry = method.geometry.rows(index)
    point, found = _verified(problem, geometry, state.attack, state.deep, state.high)
    answer.upper[where] = torch.where(found, geometry.budget(point) * geometry.unit, torch.nan)
    flat = _never_falls(problem, geometry, cuts, state.weights)
    proved = proved_unbounded(geometry, cuts, ~found & ~flat, float(problem.model.tau))
    answer.unbounded[where] = flat | (
        proved & ~_hidden_falls(problem, geometry, cuts, where, proved)
    )
    answer.attack[where] = point.reshape(-1, *geometry.shape)
    if keep_points and cuts.points is not None:
        answer.mixtures.append(Mixture(where, cuts.points[:, : cuts.count], state.weights))


def _never_falls(problem: Problem, geometry: Geometry, cuts: Cuts, weights: Tensor) -> Tensor:
    """Whether the best minorant is a single cut whose exact slope is 0: (n,) bool."""
    best = weights.argmax(1)
    every = torch.arange(len(best), device=best.device)
    flat = (cuts.slopes[every, best] == 0).all(1) & (cuts.heights[every, best] > 0)
    rows = flat.nonzero().squeeze(1)
    if not len(rows) or cuts.points is None:
        return torch.zeros_like(flat)
    points = cuts.points[rows, best[rows]].reshape(-1, *geometry.shape)
    flat[rows] = cannot_fall(problem, points, cuts.heights[rows, best[rows]])
    return flat


def _hidden_falls(
    problem: Problem, geometry: Geometry, cuts: Cuts, where: Tensor, proved: Tensor
) -> Tensor:
    """Whether a coordinate without a border plays no part only because its slopes cancel: (n,) bool."""
    hidden = torch.zeros_like(proved)
    endless = torch.isinf(geometry.down) | torch.isinf(geometry.up)
    silent = (cuts.slopes == 0).all(1) & endless
    rows = (proved & silent.any(1)).nonzero().squeeze(1)
    if len(rows):
        at = where[rows]
        line = Minorant(problem.tangent.value[at], problem.tangent.slope[at])
        steep = hidden_slope(problem.rows(at, tangent=line)).flatten(1)
        fall = torch.where(silent[rows], steep, 0.0).sum(1) * FARTHEST
        hidden[rows] = ~(fall < line.value)
    return hidden


def _verified(
    problem: Problem, geometry: Geometry, attack: Tensor, deep: Tensor, high: Tensor
) -> tuple[Tensor, Tensor]:
    """Points that the model itself puts on the other side, as near to ``attack`` as rounding allows."""
    point = torch.where(torch.isfinite(high).unsqueeze(1), attack, geometry.x)
    for step in (0.0, 1e-6, 1e-4, 1e-2, 1.0):
        trial = torch.clamp(attack + step * (deep - attack), geometry.lo, geometry.hi)
        margin = problem.model(trial.reshape(-1, *geometry.shape))
        found = (margin <= 0) & torch.isfinite(high)
        if step == 0.0:
            done = found
            point = torch.where(done.unsqueeze(1), trial, geometry.x)
        else:
            point = torch.where((found & ~done).unsqueeze(1), trial, point)
            done = done | found
        if bool((done | torch.isinf(high)).all()):
            break
    return point, done
