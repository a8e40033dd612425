"""Laws of a threat model: what it measures, projects and bounds agree."""

import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from featureconvex.certificates import Domain, Threat, Unbounded
from featureconvex.certificates.moves import SeparableMoves
from featureconvex.features import KinkedForm
from featureconvex.testing.law import Law, check_all, require
from featureconvex.testing.weights import grid


@dataclass(frozen=True)
class ThreatCase:
    """A threat model under test.

    Attributes:
        make: builds the threat.
        shape: the shape of one input.
        budgets: some budgets it knows.
        domain: the attacker's domain around inputs in [0, 1].
        truth: optional; the slow, obvious measure of one perturbation, (*shape) -> float.
    """

    make: Callable[[], Threat]
    shape: tuple[int, ...]
    budgets: tuple[float, ...] = (1.0, 2.0)
    domain: Domain = dataclasses.field(default_factory=Unbounded)
    truth: Callable[[Tensor], float] | None = None


def _moves(case: ThreatCase) -> Tensor:
    delta = grid((32, *case.shape), 2**-8, seed=40)
    delta[16:] *= delta[16:].abs() > 1  # sparse ones as well
    return delta


def measures_what_it_says(case: ThreatCase) -> None:
    """No change costs nothing, no budget is negative or NaN, rows are alone, and the truth agrees.

    A threat whose budgets are whole numbers says so, or its radii would end between two of them.
    """
    threat, delta = case.make(), _moves(case)
    spent = threat.measure(delta)
    require(spent.shape == (len(delta),), f"measure has shape {tuple(spent.shape)}")
    require(spent.dtype == torch.float64, f"measure is {spent.dtype}, expected float64")
    require((spent >= 0).all(), "a budget is negative or NaN")
    require((threat.measure(torch.zeros_like(delta)) == 0).all(), "no change costs something")
    finite = spent[torch.isfinite(spent)]
    require(
        threat.counts or bool((finite != finite.round()).any()) or not bool((finite > 0).any()),
        f"measure answers whole numbers only: set counts = True in {type(threat).__name__}",
    )
    require(bool(threat.name) and threat.name == case.make().name, "the name is not stable")
    for i, row in enumerate(delta):
        one, beside = float(threat.measure(row[None])[0]), float(spent[i])
        require(
            math.isclose(one, beside, rel_tol=1e-12),
            f"measure gives a row {one:g} alone and {beside:g} beside others: rows mix",
        )
        if case.truth is not None:
            true = case.truth(row)
            # inf is like nothing but inf.
            require(math.isclose(one, true, rel_tol=1e-9), f"measures {one:g}, true is {true:g}")


def less_change_costs_no_more(case: ThreatCase) -> None:
    """Moving any coordinate back towards the input never raises the budget."""
    threat, delta = case.make(), _moves(case)
    spent = threat.measure(delta)
    for factor in (0.0, 0.5):
        for keep in (delta.abs() > 1, delta > 0):
            less = torch.where(keep, delta, factor * delta)
            require(
                (threat.measure(less) <= spent * (1 + 1e-12)).all(),
                "a part of a perturbation costs more than the whole",
            )


def projects_into_the_budget(case: ThreatCase) -> None:
    """A projection is affordable and inside the domain, and leaves what is already there alone."""
    threat = case.make()
    x = grid((32, *case.shape), 2**-8, seed=41).abs().clamp(0, 1)
    lo, hi = (end - x for end in case.domain.bounds(x))
    for size in (0.25, 4.0):
        for value in _budgets(case):
            budget = torch.full((len(x),), value, dtype=torch.float64)
            delta = threat.project(size * _moves(case), budget, lo, hi)
            spent = threat.measure(delta)
            require(
                (spent <= budget * (1 + 1e-9)).all(),
                f"project with a budget of {value:g} gives a move that measures {float(spent.max()):g}",
            )
            require(
                ((lo <= delta) & (delta <= hi)).all(),
                f"project with a budget of {value:g} leaves the domain",
            )
            again = threat.project(delta, budget, lo, hi)
            require(
                torch.allclose(again, delta, rtol=1e-6, atol=1e-9),
                f"project with a budget of {value:g} moves what it has projected itself",
            )


def projects_nothing_away(case: ThreatCase) -> None:
    """What can be paid and is inside the domain stays: a project that gives too little hides wrong bounds.

    Steps of whole numbers, and others where every part of a move is a move.
    """
    threat = case.make()
    x = grid((32, *case.shape), 1.0, seed=41).abs().clamp(0, 1)
    lo, hi = (end - x for end in case.domain.bounds(x))
    for value in case.budgets:
        budget = torch.full((len(x),), value, dtype=torch.float64)
        for move in _free_moves(case, lo, hi):
            delta = move if threat.divisible and not threat.counts else move.round()
            inside = ((lo <= delta) & (delta <= hi)).flatten(1).all(1)
            paid = inside & (threat.measure(delta) <= budget)
            kept = threat.project(delta, budget, lo, hi)
            lost = ~torch.isclose(kept, delta, rtol=1e-5, atol=1e-9).flatten(1).all(1) & paid
            require(
                not bool(lost.any()),
                f"project with a budget of {value:g} changes a move inside the domain that costs "
                f"{float(threat.measure(delta)[int(lost.double().argmax())]):g}",
            )


def bounds_what_a_budget_takes(case: ThreatCase) -> None:
    """No affordable move takes more off a minorant than the worst drop, or than a margin survives.

    The moves are those that ``project`` gives, and others that ``measure`` alone calls affordable.
    """
    threat = case.make()
    x = grid((32, *case.shape), 2**-8, seed=42).abs().clamp(0, 1)
    w, b = grid((32, *case.shape), 2**-8, seed=43), grid((32, *case.shape), 2**-8, seed=44)
    lo, hi = case.domain.bounds(x)
    paid = torch.zeros((), dtype=torch.bool)
    for form in (KinkedForm(w), KinkedForm(w, b, torch.full((), 0.5).double())):
        drops = threat.curves(SeparableMoves(x, lo, hi, form))

        def moves(budget: Tensor) -> Iterator[Tensor]:
            # Against the slope, and anywhere.
            for move in (-w.sign() * _moves(case).abs(), _moves(case)):
                for size in (0.25, 4.0):
                    yield threat.project(size * move, budget, lo - x, hi - x)
            for delta in _free_moves(case, lo - x, hi - x):
                yield delta
                # Of every coordinate the way that falls, where the threat knows the two ways alike.
                yield (-w.sign() * delta.abs()).clamp(lo - x, hi - x)

        for value in _budgets(case):
            budget = torch.full((len(x),), value, dtype=torch.float64)
            worst = threat.worst_drop(drops, budget)
            for delta in moves(budget):
                affordable = threat.measure(delta) <= budget
                paid |= (affordable & (delta != 0).flatten(1).any(1)).any()
                fall = _fall(form, x, delta)
                over = affordable & (fall > worst * (1 + 1e-9) + 1e-12)
                row = int(over.double().argmax())
                require(
                    not bool(over.any()),
                    f"within a budget of {value:g} a move that costs {float(threat.measure(delta)[row]):g} "
                    f"takes {float(fall[row]):g} off, and worst_drop is {float(worst[row]):g}",
                )
        for margin in (0.5, 2.0, 8.0):
            found = threat.largest_budget(drops, torch.full((len(x),), margin, dtype=torch.float64))
            held = found.clamp(max=1e3) * (1 - 1e-9 * (not threat.counts))
            for delta in moves(held):
                fall = torch.where(threat.measure(delta) <= held, _fall(form, x, delta), 0.0)
                row = int(fall.argmax())
                require(
                    (fall < margin * (1 + 1e-9)).all(),
                    f"largest_budget is {float(found[row]):g} for a margin of {margin:g}, and a move "
                    f"within it takes {float(fall[row]):g} off",
                )
    require(
        bool(paid),
        "no budget of the case pays for any move that was tried, so the case tests nothing: give others",
    )


def worst_drops_have_a_gradient(case: ThreatCase) -> None:
    """Level ``tight`` climbs along the gradient of ``worst_drop`` in the minorant."""
    threat = case.make()
    x = grid((32, *case.shape), 2**-8, seed=42).abs().clamp(0, 1)
    w = grid((32, *case.shape), 2**-8, seed=43).requires_grad_()
    drops = threat.curves(SeparableMoves(x, *case.domain.bounds(x), KinkedForm(w)))
    budget = torch.full((len(x),), max(case.budgets), dtype=torch.float64)
    require(
        threat.worst_drop(drops, budget).requires_grad,
        f"worst_drop of {type(threat).__name__} has no gradient in the curves: keep to operations of "
        "torch, without detach, item or no_grad",
    )


def _budgets(case: ThreatCase) -> tuple[float, ...]:
    """Those of the case; of a count, a fraction too, of which the whole part can be spent."""
    halves = [value + 0.5 for value in case.budgets] if case.make().counts else []
    return (*case.budgets, *halves)


def _free_moves(case: ThreatCase, lo: Tensor, hi: Tensor) -> Iterator[Tensor]:
    """Moves inside the domain of many sizes, of one coordinate to all of them; no threat is asked."""
    flat = _moves(case).flatten(1)
    rank = grid(tuple(flat.shape), 2**-20, seed=45).argsort(1).argsort(1)
    for size in (0.125, 0.5, 1.0, 2.0):
        for kept in dict.fromkeys((1, 2, 3, flat.shape[1])):
            for sign in (flat.sign(), torch.ones_like(flat)):
                step = size * (0.5 + (flat.abs() % 0.5))
                delta = torch.where(rank < kept, sign * step, 0.0).reshape(lo.shape)
                yield delta.clamp(lo, hi)


def _fall(form: KinkedForm, x: Tensor, delta: Tensor) -> Tensor:
    fall = -(form.w * delta).flatten(1).sum(1)
    if form.b is None or form.z is None:
        return fall
    return fall - (form.b * ((x + delta - form.z).abs() - (x - form.z).abs())).flatten(1).sum(1)


THREAT_LAWS: tuple[Law[ThreatCase], ...] = (
    measures_what_it_says,
    less_change_costs_no_more,
    projects_into_the_budget,
    projects_nothing_away,
    bounds_what_a_budget_takes,
    worst_drops_have_a_gradient,
)


def check_threat(case: ThreatCase) -> None:
    """Every law of a threat model.

    Raises:
        AssertionError: naming the laws that are broken.

    >>> from featureconvex.certificates import Lp
    >>> check_threat(ThreatCase(lambda: Lp(2), shape=(3,)))
    """
    check_all(THREAT_LAWS, case)
