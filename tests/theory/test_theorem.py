"""Bounds of the probability of separability: against every order of few points, and known volumes."""

import json
import math
from collections.abc import Callable
from fractions import Fraction
from itertools import combinations, permutations, product
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linprog

from featureconvex import cli
from featureconvex.errors import UserError
from featureconvex.theory.theorem import (
    block_bound,
    bounds,
    box_bound,
    box_probability,
    cover_wendel_bound,
    paper_bound,
)
from featureconvex.theory.theorem.simulation import separable, simulate

Ranks = tuple[tuple[int, ...], ...]
"""Of all points, one tuple per coordinate."""

TINY = [
    (1, 2, 1),
    (2, 2, 1),
    (3, 2, 1),
    (2, 3, 1),
    (1, 2, 2),
    (2, 2, 2),
    (1, 3, 2),
    (2, 3, 2),
    (1, 3, 3),
]


def _orders(m: int, n: int, d: int) -> list[Ranks]:
    """All equally likely ranks of ``m + n`` points in ``d`` coordinates; the first ``m`` are sensitive."""
    return list(product(permutations(range(m + n)), repeat=d))


def _share(m: int, n: int, d: int, event: Callable[[Ranks], bool]) -> Fraction:
    orders = _orders(m, n, d)
    return Fraction(sum(bool(event(ranks)) for ranks in orders), len(orders))


@pytest.mark.parametrize(
    ("m", "n", "d"), [t for t in TINY if math.factorial(t[0] + t[1]) ** t[2] < 20_000]
)
def test_each_bound_is_its_event_counted(m: int, n: int, d: int) -> None:
    def one_side(ranks: Ranks) -> bool:
        return any(max(axis[m:]) < min(axis[:m]) for axis in ranks)

    def block(ranks: Ranks) -> bool:
        return any(max(axis[m:]) - min(axis[m:]) == n - 1 for axis in ranks)

    def outside_box(ranks: Ranks) -> bool:
        return not any(
            all(min(axis[m:]) < axis[i] < max(axis[m:]) for axis in ranks) for i in range(m)
        )

    for formula, event in (
        (paper_bound, one_side),
        (block_bound, block),
        (box_probability, outside_box),
    ):
        exact = _share(m, n, d, event)
        assert Fraction(formula(m, n, d)) <= exact
        assert formula(m, n, d) == pytest.approx(float(exact), rel=1e-9)
    # The box by Jensen's inequality is exact for one point.
    jensen = (1 - Fraction(n - 1, n + 1) ** d) ** m
    assert Fraction(box_bound(m, n, d)) <= jensen <= _share(m, n, d, outside_box)
    assert box_bound(m, n, d) == pytest.approx(float(jensen), rel=1e-9)


KNOWN = [
    # The mean area of a triangle in a square, and the mean volume of a tetrahedron in a cube.
    ((1, 3, 2), 1 - 11 / 144),
    ((1, 4, 3), 1 - (3977 / 216000 - math.pi**2 / 2160)),
    ((3, 2, 2), 1.0),
    ((7, 5, 5), 1.0),
]


@pytest.mark.parametrize(("triple", "truth"), KNOWN)
def test_no_bound_is_above_a_known_probability(triple: tuple[int, int, int], truth: float) -> None:
    found = bounds(*triple)
    for name in ("paper", "block", "box", "box_exact", "wendel", "sharper"):
        assert 0 <= getattr(found, name) <= truth, name


@pytest.mark.parametrize(("m", "n", "d"), [(1, 2, 1), (2, 4, 1), (5, 3, 1)])
def test_on_a_line_the_block_is_the_truth(m: int, n: int, d: int) -> None:
    separable_orders = sum(
        max(chosen) - min(chosen) == n - 1 for chosen in combinations(range(m + n), n)
    )
    truth = separable_orders / math.comb(m + n, n)
    assert bounds(m, n, d).sharper == pytest.approx(truth, rel=1e-9)
    assert bounds(m, n, d).sharper <= truth


def test_the_values_of_the_page() -> None:
    found = bounds(50, 50, 784)
    assert found.paper == pytest.approx(7.77e-27, rel=1e-2)
    assert 1 - found.box == pytest.approx(1.2e-12, rel=0.05)
    assert found.sharper == 1.0


THOUSANDS = [(5000, 5000, 3072), (4000, 9000, 20), (1, 9000, 8999), (6131, 5851, 784)]


@pytest.mark.parametrize("triple", THOUSANDS)
def test_thousands_of_points(triple: tuple[int, int, int]) -> None:
    found = bounds(*triple)
    for name in ("paper", "block", "box", "box_exact", "wendel"):
        assert 0 <= getattr(found, name) <= 1
    assert found.sharper >= found.paper


@pytest.mark.parametrize(("m", "n"), [(3, 5), (20, 8)])
def test_bounds_grow_with_dimension_to_one(m: int, n: int) -> None:
    for formula in (paper_bound, block_bound, box_bound, box_probability, cover_wendel_bound):
        values = [formula(m, n, d) for d in range(1, 2 * n)]
        assert values == sorted(values)
    assert bounds(m, n, n).sharper == 1.0
    assert bounds(m, n, n - 1).sharper < 1.0
    assert cover_wendel_bound(1, 5000, 4999) < 1.0


def test_the_exact_box_is_never_below_block_and_jensen() -> None:
    for m, n, d in product((1, 4, 30), (2, 5, 40), (1, 3, 20, 200)):
        found = bounds(m, n, d)
        assert found.box_exact >= max(found.block, found.box, found.paper) * (1 - 1e-10)


def test_large_alternating_sums_keep_every_digit() -> None:
    """Against the same sum in fractions."""
    for m, n, d in ((60, 7, 3), (200, 3, 2), (90, 90, 2)):
        exact = sum(
            (-1) ** k * math.comb(m, k) * Fraction(n * (n - 1), (n + k) * (n + k - 1)) ** d
            for k in range(m + 1)
        )
        found = Fraction(box_probability(m, n, d))
        assert found <= exact
        assert abs(found - exact) <= exact / 10**15 + Fraction(1, 2**140)


@pytest.mark.parametrize(("m", "n", "d"), [(4, 5, 2), (6, 8, 3), (10, 6, 4)])
def test_the_simulation_decides_as_a_linear_programme(m: int, n: int, d: int) -> None:
    random = np.random.default_rng(0)
    seen = set()
    for _ in range(30):
        points = random.uniform(-1, 1, (m + n, d))
        inside = False
        for x in points[:m]:
            system = np.vstack([points[m:].T, np.ones(n)])
            inside |= linprog(np.zeros(n), A_eq=system, b_eq=np.append(x, 1)).status == 0
        assert separable(points, m) != inside
        seen.add(inside)
    assert seen == {False, True}


def test_the_interval_holds_a_known_probability() -> None:
    found = simulate(1, 3, 2, 1000)
    assert found.low < 1 - 11 / 144 < found.high
    assert found.high - found.low < 0.05
    assert found.trials == 1000


def test_the_command_writes_what_is_promised(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as done:
        cli.main(["study", "theorem", "--quick", "--out", str(tmp_path)])
    assert not done.value.code
    points = json.loads((tmp_path / "theorem.json").read_text())["points"]
    assert len(points) == 6
    for point in points:
        assert {"M", "N", "d", "paper", "sharper", "estimate", "low", "high"} <= set(point)
        assert point["paper"] <= point["sharper"] <= point["high"]
        assert point["low"] <= point["estimate"] <= point["high"]
    assert (tmp_path / "theorem.png").stat().st_size > 10_000


def test_the_committed_simulation_contradicts_no_bound() -> None:
    path = Path(__file__).parents[2] / "results" / "theorem.json"
    points = json.loads(path.read_text())["points"]
    assert len(points) > 40
    for point in points:
        now = bounds(point["M"], point["N"], point["d"])
        assert point["sharper"] == pytest.approx(now.sharper, rel=1e-9)
        # At 95 % some intervals may miss; none may by more than another of its lengths.
        assert now.sharper <= point["high"] + (point["high"] - point["low"])


@pytest.mark.parametrize("triple", [(0, 1, 1), (1, 0, 1), (1, 1, 0), (10**8, 1, 1), (2.5, 1, 1)])
def test_what_counts_nothing_is_refused(triple: tuple[int, int, int]) -> None:
    with pytest.raises(UserError):
        bounds(*triple)


def test_another_study_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        cli.main(["study", "alchemy", "--out", str(tmp_path)])
    assert done.value.code == 2
    assert "alchemy" in capsys.readouterr().err
