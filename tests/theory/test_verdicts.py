"""Inside or outside: against linear programmes, planted points, and proofs checked by a few lines."""

import sys
from fractions import Fraction

import numpy as np
import pytest
from scipy.optimize import linprog

from featureconvex.theory.separability import (
    COMBINATION,
    DUPLICATE,
    HYPERPLANE,
    Lattice,
    Verdicts,
    separate,
)
from featureconvex.theory.separability.decide import Combination, Hyperplane, decide
from featureconvex.theory.separability.rational import solve
from featureconvex.theory.separability.whitening import Whitening

KINDS = ("whole", "normal", "decimal", "flat")


def _points(kind: str, rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    if kind == "whole":
        return rng.integers(-3, 4, (n, d)).astype(np.float64)
    x = rng.normal(size=(n, d))
    if kind == "decimal":
        return np.round(x, 1)
    if kind == "flat":  # all but a few on a hyperplane, with a constant column
        x[:, 0] = np.where(rng.random(n) < 0.8, x[:, -1] * 0 + 0.25, 0.5)
    return x


def _lattices(points: np.ndarray, others: np.ndarray) -> tuple[Lattice, Lattice]:
    both = Lattice.of(np.concatenate([points, others]))
    return both.take(np.arange(len(points))), both.take(np.arange(len(points), len(both)))


def _proved(points: np.ndarray, others: np.ndarray) -> Verdicts:
    """Verdicts whose every proof was checked in rational arithmetic on the numbers themselves."""
    planes: dict[int, tuple[list[int], Fraction]] = {}

    def watch(rows: np.ndarray, directions: np.ndarray, by: np.ndarray) -> None:
        for row, direction, margin in zip(rows, directions, by, strict=True):
            planes[int(row)] = ([int(v) for v in direction], Fraction(margin))

    mine, its = _lattices(points, others)
    found = separate(mine, its, watch)
    unit = [Fraction(u) for u in mine.unit]

    def exact(x: np.ndarray) -> list[Fraction]:
        return [Fraction(float(v)) for v in x]

    for row, verdict in enumerate(found.inside):
        if found.proof[row] == HYPERPLANE:
            assert verdict == 0
            normal, margin = planes[row]
            w = [a / u for a, u in zip(normal, unit, strict=True)]
            at = [
                sum(a * b for a, b in zip(w, exact(y), strict=True)) for y in (points[row], *others)
            ]
            assert at[0] > max(at[1:])
            assert margin <= at[0] - max(at[1:])
        elif found.proof[row] == COMBINATION:
            assert verdict == 1
            proof = found.combinations[row]
            assert min(proof.weights) >= 0
            assert sum(proof.weights) == 1
            rows = [exact(others[i]) for i in proof.points]
            weighted = [
                sum(w * v for w, v in zip(proof.weights, c, strict=True))
                for c in zip(*rows, strict=True)
            ]
            assert weighted == exact(points[row])
        elif found.proof[row] == DUPLICATE:
            assert verdict == 1
            np.testing.assert_array_equal(others[found.duplicates[row]], points[row])
        else:
            assert verdict == -1
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("d", [1, 2, 3, 5, 8])
def test_verdicts_are_those_of_a_linear_programme(kind: str, d: int) -> None:
    rng = np.random.default_rng(100 * d + KINDS.index(kind))
    seen = set()
    for _ in range(6):
        n = int(rng.integers(2 * d + 6, 4 * d + 12))
        points, others = _points(kind, rng, 6, d), _points(kind, rng, n, d)
        points[:3] = 0.75 * others.mean(axis=0) + 0.25 * others[:3]
        points[3:5] *= 2
        found = _proved(points, others)
        for row, x in enumerate(points):
            system = np.vstack([others.T, np.ones(n)])
            lp = linprog(np.zeros(n), A_eq=system, b_eq=np.append(x, 1), method="highs")
            assert found.inside[row] == (lp.status == 0)
            seen.add(int(found.inside[row]))
    assert seen == {0, 1}


@pytest.mark.parametrize("d", [2, 6, 20])
def test_planted_points_are_found_inside(d: int) -> None:
    rng = np.random.default_rng(d)
    others = rng.integers(0, 1024, (3 * d, d)).astype(np.float64)
    # Sums of powers of two keep every number exact: on a vertex, an edge, a face, and within.
    middles = [
        others[0],
        others[0] / 2 + others[1] / 2,
        others[0] / 2 + others[1] / 4 + others[2] / 4,
        *(others[rng.integers(0, 3 * d, 8)].mean(axis=0) for _ in range(3)),
    ]
    found = _proved(np.array(middles), others)
    assert found.inside.tolist() == [1] * 6
    assert found.proof[0] == DUPLICATE
    assert found.separable is False


@pytest.mark.parametrize("one", [0.0, 1.0, -1e-300, 7e200])
def test_single_points_and_classes_that_are_alike(one: float) -> None:
    x = np.full((1, 2), one)
    assert _proved(x, x).proof.tolist() == [DUPLICATE]
    assert _proved(np.repeat(x, 3, axis=0), np.repeat(x, 4, axis=0)).inside.tolist() == [1] * 3
    other = np.array([[3.0, 4.0]])
    assert _proved(x, other).inside.tolist() == [0]
    assert _proved(np.concatenate([x, other]), other).inside.tolist() == [0, 1]


@pytest.mark.parametrize("away", [1.0, 2.0**-20, 2.0**-48])
def test_a_hair_outside_is_outside_and_on_the_edge_is_inside(away: float) -> None:
    square = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    found = _proved(np.array([[0.5, 1.0 + away], [0.5, 1.0], [0.5, 1.0 - away / 2]]), square)
    assert found.inside.tolist() == [0, 1, 1]


def test_columns_of_very_different_sizes() -> None:
    rng = np.random.default_rng(0)
    scale = np.array([1e-12, 1.0, 1e9])
    others = rng.normal(size=(40, 3)) * scale
    points = np.concatenate([others[:3].mean(axis=0)[None], 10 * scale[None]])
    found = _proved(points, others)
    assert found.inside[1] == 0
    assert found.inside[0] >= 0


def test_what_one_point_is_told_is_told_all_alike() -> None:
    """Simplices and hyperplanes that one point found are tried on the others: the verdicts are the same."""
    rng = np.random.default_rng(3)
    others = rng.integers(0, 16, (60, 2)).astype(np.float64)
    points = rng.integers(0, 16, (80, 2)) + 0.5
    together = _proved(points, others)
    alone = [_proved(x[None], others).inside[0] for x in points]
    assert together.inside.tolist() == alone
    assert 0 < sum(alone) < 80


def test_separable_is_true_false_or_open() -> None:
    for inside, answer in (([0, 0], True), ([0, 1], False), ([-1, 1], False), ([-1, 0], None)):
        verdicts = Verdicts(np.array(inside, np.int8), np.array(["", ""]))
        assert verdicts.separable is answer


@pytest.mark.parametrize("start", [[], [0], [0, 1, 2], [0, 0, 1]])
def test_the_exact_step_needs_no_good_start(start: list[int]) -> None:
    others = Lattice.of(np.array([[0, 0], [4, 0], [0, 4], [4, 4], [1, 3]], np.float64))
    for x, inside in (((1, 1), True), ((4, 2), True), ((5, 2), False), ((1, 3), True)):
        # The lattice's own scale: its integers of the corner (4, 0).
        scale = int(others.integers(np.array([1]))[0, 0]) // 4
        found = decide(np.array([v * scale for v in x], dtype=object), others, start)
        assert isinstance(found, Combination if inside else Hyperplane)


def test_it_says_so_when_it_gives_up() -> None:
    rng = np.random.default_rng(0)
    lattice = Lattice.of(rng.normal(size=(30, 5)))
    assert decide(lattice.integers(np.array([0]))[0], lattice, [], pivots=1) is None


@pytest.mark.parametrize("without_flint", [False, True])
def test_rational_solutions_are_exact(without_flint: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if without_flint:
        monkeypatch.setitem(sys.modules, "flint", None)
    rng = np.random.default_rng(0)
    for n in (1, 2, 5, 9):
        matrix = rng.integers(-(2**60), 2**60, (n, n)).astype(object)
        right = rng.integers(-9, 9, (n, 2)).astype(object)
        found = solve(matrix, right)
        assert found is not None
        for column, solution in enumerate(found):
            assert list(matrix @ np.array(solution, dtype=object)) == list(right[:, column])
    matrix = np.array([[0, 1], [1, 0]], dtype=object)
    assert solve(matrix, np.array([[3], [4]], dtype=object)) == [[Fraction(4), Fraction(3)]]
    assert solve(np.array([[1, 2], [2, 4]], dtype=object), np.ones((2, 1), dtype=object)) is None


# What a wrong step would do to the proofs: each must be caught by the checks above.


def test_planted_fault_a_direction_that_floating_point_believes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "featureconvex.theory.separability.lattice.Product.exceeds",
        lambda self, other: np.ones(np.broadcast(self.parts[0], other.parts[0]).shape, dtype=bool),
    )
    square = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    with pytest.raises(AssertionError):
        _proved(np.array([[0.5, 0.5]]), square)


def test_planted_fault_rounded_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    def rounded(matrix: np.ndarray, right: np.ndarray) -> list[list[Fraction]] | None:
        found = solve(matrix, right)
        return None if found is None else [[Fraction(float(v)) for v in c] for c in found]

    monkeypatch.setattr("featureconvex.theory.separability.decide.solve", rounded)
    triangle = np.array([[0.0, 0.0], [0.0, 3.0], [3.0, 0.0]])
    with pytest.raises(AssertionError):
        _proved(np.array([[1.0, 1.0]]), triangle)


def test_few_points_need_the_solver_where_a_class_is_round() -> None:
    """One product separates nearly all points of a Gaussian cloud in high dimension."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 100))
    mine, its = _lattices(x[:200], x[200:])
    whitening = Whitening(its.values(), np.ones(100))
    factor = whitening.factor(1e-2, whitening.variance)
    whole = mine.rounded(whitening.directions(mine.values(), factor))
    assert mine.at(whole).exceeds(its.largest(whole)).mean() > 0.95
