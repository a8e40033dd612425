"""One case, certified in every way and attacked just inside every radius."""

import copy
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import featureconvex as fc
from featureconvex.certificates import Domain
from featureconvex.errors import UserError
from featureconvex.testing.law import require
from featureconvex.testing.soundness.attack_points import Attacker, check_domain_holds
from featureconvex.testing.soundness.cases.case import Case, Claim, claims_for, threat_name
from featureconvex.testing.soundness.cases.intruders import INTRUDERS, intruder_checks
from featureconvex.testing.soundness.concurrent import thread_checks
from featureconvex.testing.soundness.radius_laws import law_checks
from featureconvex.testing.soundness.tally import Check, Near, Tally, TallyRow
from featureconvex.testing.soundness.verdict.bounded_margin import BoundedMargin
from featureconvex.testing.soundness.verdict.budget import covered
from featureconvex.testing.soundness.verdict.judge import Judge, Verdict

Mask = NDArray[np.bool_]
# How much of a radius levels below ``sound`` may be off by, whatever the model's dtype.
OFF = 1e-6
# Points that threads and intruders are tried at.
ROWS = 24
# Iterations of level ``tight``: enough to leave the tangent behind, and cheap.
ITERATIONS = 3
# Besides the points that no bound decides, so many nearest to zero and at random are judged per claim:
# a check of the bounds themselves. Models of few numbers are cheap to judge, and get four times as many.
NEAREST, RANDOM = 2, 1
FEW, MORE = 2000, 4
_DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True)
class Judged:
    """Margins of all points of one claim: (n, tries) each.

    Attributes:
        margin: right to its sign; inf for points outside.
        exact: judged in exact arithmetic, or by the machine the claim is about.
    """

    margin: NDArray[np.float64]
    exact: Mask


class Shard:
    """The work on one case.

    Args:
        case: what to certify and attack.
        number: of the shard, for the record.
        tight: some settings are certified at level ``tight``, too.
    """

    def __init__(self, case: Case, number: int = 0, tight: bool = True) -> None:
        check_domain_holds(case)
        self.case, self.number, self.tight = case, number, tight
        self.judge = Judge(case.model)
        self.bounded = [BoundedMargin(case.model, dtype) for dtype in _precisions()]
        self.random = np.random.default_rng(case.seed)
        few = sum(part.numel() for part in case.model.parameters()) <= FEW
        self.near, self.some = (NEAREST * MORE, RANDOM * MORE) if few else (NEAREST, RANDOM)
        with torch.no_grad():
            self.here = copy.deepcopy(case.model).double()(case.x.double()).numpy()

    @cached_property
    def machines(self) -> dict[str, fc.FeatureConvexModel]:
        """The model as deployed in each precision."""
        return {name: copy.deepcopy(self.case.model).to(dtype) for name, dtype in _DTYPES.items()}

    def run(self) -> Tally:
        """Every setting."""
        tally = Tally()
        for index in range(len(self.case.settings)):
            tally.add(self.setting(index))
        tally.checks += self.checks()
        return tally

    def checks(self) -> list[Check]:
        """Laws, threads and intruders: one law setting and one intruder per shard, in turn."""
        case, turn = self.case, self.case.seed
        if case.remake is None:
            return []
        x = case.x[:ROWS]
        name = INTRUDERS[turn % len(INTRUDERS)]
        return [
            *self.laws(),
            *thread_checks(case.remake(), x),
            *intruder_checks(case.remake, x[:4], (name,)),
        ]

    def laws(self) -> list[Check]:
        """The laws of radii in one setting, in turn, and of level ``tight`` in the first.

        Of wild cases only: where logits dwarf margins, rounding alone moves a radius.
        """
        if self.case.remake is None:
            return []
        turn = self.case.seed % len(self.case.settings)
        return [
            *law_checks(self.case, turn, levels=("domain", "sound")),
            *law_checks(self.case, 0, rows=6, levels=("tight",)),
        ]

    def setting(self, index: int) -> Tally:
        """Every way to certify against one threat in one domain."""
        threat, domain = self.case.settings[index]
        bounded = isinstance(domain, fc.Box)
        tally, found = Tally(), {}
        tight = self.tight and index % self.case.tight_every == 0
        for claim in claims_for(threat, bounded, tight):
            try:
                found[claim] = self.certified(claim, index)
            except UserError as error:
                tally.refused.append({**self.words(claim, index), "reason": str(error)})
            except Exception as error:
                if self.case.remake is None:
                    raise
                reason = f"{type(error).__name__}: {error}"
                tally.refused.append({**self.words(claim, index), "reason": reason})
            if self.case.remake is not None:
                tally.checks.append(_answered(claim.name, claim in found))
        if not found:
            return tally
        radii = torch.from_numpy(np.stack(list(found.values())))
        with torch.enable_grad():
            attacker = Attacker.of(self.case, index)
            points = attacker.points(radii).numpy()
        if self.case.remake is not None:
            tally.checks.append(_answered("attack", not attacker.failed))
        for (claim, radius), tries in zip(found.items(), points, strict=True):
            tally.add(self.verdicts(claim, index, radius, tries))
        return tally

    def certified(self, claim: Claim, index: int) -> NDArray[np.float64]:
        """(n,) radii."""
        threat, domain = self.case.settings[index]
        tight = fc.levels.Tight(iterations=ITERATIONS)
        level: str | fc.levels.Level = tight if claim.level == "tight" else claim.level
        if claim.level == "sound":
            base = tight if claim.base == "tight" else claim.base
            level = fc.levels.Sound(base, claim.arithmetic)
        return fc.certify(self.case.model, self.case.x, threat, domain, level).radius

    def verdicts(
        self, claim: Claim, index: int, radius: NDArray[np.float64], tries: NDArray[np.float64]
    ) -> Tally:
        """Count, and judge what may contradict the claim."""
        inside = self.inside(index, radius, tries)
        found = self.measured(claim, tries, inside)
        wrong = inside & (found.margin <= 0)
        rounding = self.rounding(tries, wrong)
        for row, k in zip(*np.nonzero(wrong), strict=True):
            wrong[row, k] = self.speaks_about(index, radius[row], int(row), tries[row, k])
        moved = (tries != tries[:, -1:]).reshape(*tries.shape[:2], -1).any(-1)
        line = TallyRow(
            **self.words(claim, index),
            dtype=torch.finfo(self.case.model.dtype).dtype,
            certificates=int((radius > 0).sum()),
            attacked=int((inside & moved).any(1).sum()),
            points=int(inside.sum()),
            judged=int((inside & found.exact).sum()),
            violations=int(wrong.any(1).sum()),
            gross=int((wrong & (found.margin < -rounding)).any(1).sum()),
        )
        # What is outside after all must not be shown as nearest.
        shown = inside & ((found.margin > 0) & found.exact | wrong)
        return Tally([line], self.nearest(claim, index, radius, found.margin, shown))

    def rounding(self, tries: NDArray[np.float64], where: Mask) -> NDArray[np.float64]:
        """Margins below minus this are gross: the share that a radius may be off by, and what four forward
        passes in the model's dtype may lose at points and inputs. (n, tries), inf where nothing is wrong.
        """
        lost = np.full(where.shape, np.inf)
        if where.any():
            unit = torch.finfo(self.case.model.dtype).eps / np.finfo(np.float64).eps
            points = np.concatenate((tries[where], tries[:, -1][np.nonzero(where)[0]]))
            _, bound = self.bounded[0](points)
            there, here = np.split(bound, 2)
            share = OFF * np.abs(self.here[np.nonzero(where)[0]])
            lost[where] = np.maximum(share, 4 * unit * (there + here))
        return lost

    def words(self, claim: Claim, index: int) -> dict[str, str]:
        """What all lines say about themselves."""
        threat, domain = self.case.settings[index]
        return {
            "level": claim.name,
            "rests_on": claim.base if claim.level == "sound" else "",
            "threat": threat_name(threat),
            "domain": _domain_name(domain),
            "architecture": self.case.architecture,
            "features": self.case.features,
            "origin": self.case.origin,
        }

    def inside(self, index: int, radius: NDArray[np.float64], tries: NDArray[np.float64]) -> Mask:
        """(n, tries): points of the domain below the radius, up to the rounding of the measure."""
        threat, domain = self.case.settings[index]
        x = self.case.x.double()
        low, high = domain.bounds(self.case.x)
        columns = []
        for point in torch.from_numpy(tries).unbind(1):
            spent, limit = threat.measure(point - x), torch.from_numpy(radius)
            fits = (spent <= limit) if threat.counts else (spent < limit)
            within = ((low <= point) & (point <= high)).flatten(1).all(1)
            columns.append(within & fits)
        return (torch.stack(columns, 1).numpy()) & (radius > 0)[:, None]

    def speaks_about(self, index: int, radius: float, row: int, point: NDArray[np.float64]) -> bool:
        """Whether the certificate covers the point, in exact numbers."""
        threat, domain = self.case.settings[index]
        x = self.case.x[row : row + 1]
        low, high = (end[0].numpy() for end in domain.bounds(x))
        return covered(threat, float(radius), x[0].double().numpy(), point, (low, high))

    def measured(self, claim: Claim, tries: NDArray[np.float64], inside: Mask) -> Judged:
        """The margins that count for the claim."""
        margin, exact = np.full(inside.shape, np.inf), np.zeros_like(inside)
        if inside.any() and claim.arithmetic == "real":
            margin[inside], exact[inside] = self.decided(tries[inside])
        elif inside.any():
            margin[inside], exact = self.computed(claim.arithmetic, tries[inside]), inside
        return Judged(margin, exact)

    def computed(self, machine: str, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the deployed model answers; the lowest few again one by one, where sums round otherwise.

        A margin that is not a number is not positive.
        """
        model, z = self.machines[machine], torch.from_numpy(points).to(_DTYPES[machine])
        with torch.no_grad():
            margin: NDArray[np.float64] = model(z).nan_to_num(nan=-math.inf).numpy().copy()
            for k in np.argsort(margin)[: self.near]:
                margin[k] = min(margin[k], float(model(z[k : k + 1])))
        return margin

    def decided(self, points: NDArray[np.float64]) -> tuple[NDArray[np.float64], Mask]:
        """Margins right to their sign, (n,), and which of them were judged in exact arithmetic.

        A float margin decides where it exceeds its proved bound. The others are judged, and so are those
        nearest to zero and some at random: every judgement also checks the bounds.
        """
        runs = [self.bounded[0](points)]
        margin, bound = runs[0][0].copy(), runs[0][1]
        open_ = ~(np.abs(margin) > bound)
        places = np.arange(len(points))
        if len(self.bounded) > 1 and open_.any():
            places = np.flatnonzero(open_)
            runs.append(self.bounded[1](points[places]))
            margin[places] = runs[1][0]
            open_[places] = ~(np.abs(runs[1][0]) > runs[1][1])
        nearest = np.argsort(np.nan_to_num(margin, nan=-np.inf))[: self.near]
        some = self.random.integers(0, len(points), self.some)
        chosen = np.unique(np.concatenate((nearest, some, np.flatnonzero(open_))))
        for k in chosen:
            verdict = self.judge.verdict(points[k])
            self.check_bound(verdict, runs[0][0][k], runs[0][1][k])
            if len(runs) > 1 and k in places:
                at = int(np.searchsorted(places, k))
                self.check_bound(verdict, runs[1][0][at], runs[1][1][at])
            margin[k] = (
                max(verdict.margin, 5e-324) if verdict.positive else min(verdict.margin, 0.0)
            )
        exact = np.zeros(len(points), dtype=bool)
        exact[chosen] = True
        return margin, exact

    def check_bound(self, verdict: Verdict, computed: Any, bound: Any) -> None:
        """A proved bound that is wrong ends the campaign."""
        if np.isfinite(bound):
            apart = verdict.distance(computed)
            require(
                apart <= float(bound),
                f"a margin of {self.case.architecture} is off by {apart:g}, proved was {bound:g}",
            )

    def nearest(
        self,
        claim: Claim,
        index: int,
        radius: NDArray[np.float64],
        margin: NDArray[np.float64],
        shown: Mask,
    ) -> list[Near]:
        """The judged points of lowest margin."""
        share = np.where(shown, margin / np.abs(self.here[:, None]), np.inf)
        row, k = np.unravel_index(int(np.argmin(share)), share.shape)
        if not np.isfinite(share[row, k]):
            return []
        return [
            Near(
                share=float(share[row, k]),
                margin=float(margin[row, k]),
                **self.words(claim, index),
                shard=self.number,
                row=int(row),
                radius=float(radius[row]),
            )
        ]


def _answered(level: str, kept: bool) -> Check:
    """All that wild cases ask is legal."""
    return Check("law", "a legal call is answered", level, 1, int(not kept), int(not kept))


def _precisions() -> list[type]:
    """float64, and x87's extended numbers where they are."""
    return [np.float64] + [np.longdouble] * (np.finfo(np.longdouble).nmant == 63)


def _domain_name(domain: Domain) -> str:
    if not isinstance(domain, fc.Box):
        return "everywhere"
    free = domain.immutable is None and domain.direction is None
    return "box" if free else "restricted box"
