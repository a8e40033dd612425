"""Laws of a threat model: what it measures, projects and bounds agree."""

import dataclasses
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
    """No change costs nothing, no budget is negative or NaN, rows are alone, and the truth agrees."""
    threat, delta = case.make(), _moves(case)
    spent = threat.measure(delta)
    require(spent.shape == (len(delta),), f"measure has shape {tuple(spent.shape)}")
    require(spent.dtype == torch.float64, f"measure is {spent.dtype}, expected float64")
    require((spent >= 0).all(), "a budget is negative or NaN")
    require((threat.measure(torch.zeros_like(delta)) == 0).all(), "no change costs something")
    require(bool(threat.name) and threat.name == case.make().name, "the name is not stable")
    for i, row in enumerate(delta):
        one = float(threat.measure(row[None])[0])
        require(one == float(spent[i]) or abs(one - spent[i]) <= 1e-12 * one, "rows mix")
        if case.truth is not None:
            true = case.truth(row)
            require(
                one == true or abs(one - true) <= 1e-9 * true, f"measures {one:g}, true is {true:g}"
            )


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
        for value in case.budgets:
            budget = torch.full((len(x),), value, dtype=torch.float64)
            delta = threat.project(size * _moves(case), budget, lo, hi)
            spent = threat.measure(delta)
            require((spent <= budget * (1 + 1e-9)).all(), f"projects to {float(spent.max()):g}")
            require(((lo <= delta) & (delta <= hi)).all(), "projects outside the domain")
            again = threat.project(delta, budget, lo, hi)
            require(torch.allclose(again, delta, rtol=1e-6, atol=1e-9), "moves what is inside")


def bounds_what_a_budget_takes(case: ThreatCase) -> None:
    """No affordable move takes more off a minorant than the worst drop, or than a margin survives."""
    threat = case.make()
    x = grid((32, *case.shape), 2**-8, seed=42).abs().clamp(0, 1)
    w, b = grid((32, *case.shape), 2**-8, seed=43), grid((32, *case.shape), 2**-8, seed=44)
    lo, hi = case.domain.bounds(x)
    for form in (KinkedForm(w), KinkedForm(w, b, torch.full((), 0.5).double())):
        drops = threat.curves(SeparableMoves(x, lo, hi, form))

        def falls(budget: Tensor, form: KinkedForm = form) -> Iterator[Tensor]:
            # Against the slope, and anywhere.
            for move in (-w.sign() * _moves(case).abs(), _moves(case)):
                for size in (0.25, 4.0):
                    delta = threat.project(size * move, budget, lo - x, hi - x)
                    affordable = threat.measure(delta) <= budget
                    yield torch.where(affordable, _fall(form, x, delta), 0.0)

        for value in case.budgets:
            budget = torch.full((len(x),), value, dtype=torch.float64)
            worst = threat.worst_drop(drops, budget) * (1 + 1e-9) + 1e-12
            for fall in falls(budget):
                require((fall <= worst).all(), "a move takes more than the worst drop")
        for margin in (0.5, 2.0, 8.0):
            found = threat.largest_budget(drops, torch.full_like(budget, margin))
            for fall in falls(found.clamp(max=1e3) * (1 - 1e-9 * (not threat.counts))):
                require((fall < margin * (1 + 1e-9)).all(), "the largest budget takes the margin")


def _fall(form: KinkedForm, x: Tensor, delta: Tensor) -> Tensor:
    fall = -(form.w * delta).flatten(1).sum(1)
    if form.b is None or form.z is None:
        return fall
    return fall - (form.b * ((x + delta - form.z).abs() - (x - form.z).abs())).flatten(1).sum(1)


THREAT_LAWS: tuple[Law[ThreatCase], ...] = (
    measures_what_it_says,
    less_change_costs_no_more,
    projects_into_the_budget,
    bounds_what_a_budget_takes,
)


def check_threat(case: ThreatCase) -> None:
    """Every law of a threat model.

    Raises:
        AssertionError: naming the laws that are broken.

    >>> from featureconvex.certificates import Lp
    >>> check_threat(ThreatCase(lambda: Lp(2), shape=(3,)))
    """
    check_all(THREAT_LAWS, case)
