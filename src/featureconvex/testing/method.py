"""Laws of a method in the comparison: what it certifies survives an attack, and a save."""

import copy
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from featureconvex.baselines.answers import checked_facts, flags_of, radii_of
from featureconvex.baselines.description import Description, settings_of
from featureconvex.baselines.method import Method
from featureconvex.norms import vector_norm
from featureconvex.testing.law import Law, check_all, require, seeded
from featureconvex.training.points import Points


# Compared by identity: the laws of one case share one fit.
@dataclass(frozen=True, eq=False)
class MethodCase:
    """A way to build a method, and points to fit it on.

    Attributes:
        make: builds it unfitted, the same every time.
        fitting, validation, test: points with both classes, easy enough to learn in the epochs that
            ``make`` asks for; inputs as :class:`featureconvex.baselines.Options` says.
        attempts: random perturbations tried per point, norm and level.
        repeats: whether two certifications of the same points must agree (not so for sampling).
        boxed: levels that promise something for perturbations inside [0, 1] only.
    """

    make: Callable[[], Method]
    fitting: Points
    validation: Points
    test: Points
    attempts: int = 200
    repeats: bool = True
    boxed: frozenset[str] = frozenset()


def fitted(case: MethodCase) -> Method:
    """A fitted method of one's own: the last few cases are fitted once and copied."""
    return copy.deepcopy(_fitted(case))


@lru_cache(maxsize=4)
def _fitted(case: MethodCase) -> Method:
    with seeded(0):
        method = case.make()
        checked_facts(method, method.fit(case.fitting, case.validation))
    return method


def describes_itself(case: MethodCase) -> None:
    """Name, norms, levels and settings are what :class:`featureconvex.baselines.Method` says."""
    method = case.make()
    try:
        Description.of(type(method))
        settings_of(type(method), method.options)
    except Exception as error:
        raise AssertionError(f"{type(error).__name__}: {error}") from error


def learns(case: MethodCase) -> None:
    """Better than chance on both classes, and something is certified in every native norm."""
    method = fitted(case)
    flags, truth = flags_of(method, case.test.x), case.test.y.numpy() > 0
    require(bool(flags[truth].mean() > 0.5), "at most half of the sensitive points are flagged")
    require(bool((~flags[~truth]).mean() > 0.5), "at most half of the other points are not flagged")
    for level in method.levels:
        for p, radius in radii_of(method, case.test.x, level).items():
            require(bool((radius > 0).any()), f"{level} certifies nothing in norm {p}")


def radii_are_radii(case: MethodCase) -> None:
    """Every native norm has (n,) float64 radii >= 0, and 0 for what is not flagged."""
    method = fitted(case)
    flags = flags_of(method, case.test.x)
    for level in method.levels:
        for radius in radii_of(method, case.test.x, level).values():
            require(
                case.repeats is False or bool((radius[~flags] == 0).all()), "not flagged, yet > 0"
            )


def survives_perturbations(case: MethodCase) -> None:
    """No random or gradient-free perturbation inside a certified radius changes the prediction.

    An infinite radius must survive moves as far as the other test points, and ten times as far.
    """
    method = fitted(case)
    generator = torch.Generator().manual_seed(0)
    for level in method.levels:
        for p, radius in radii_of(method, case.test.x, level).items():
            for row in np.flatnonzero(radius > 0)[:8]:
                x = case.test.x[row].double()
                moves = _moves(x, p, case, generator)
                if np.isinf(radius[row]):
                    other = case.test.x[case.test.y == 0].double() - x
                    far = float(vector_norm(other, p).max())
                    moves = torch.cat((other, far * moves, 10 * far * moves))
                else:
                    moves = moves * float(radius[row]) * (1 - 1e-6)
                moved = (x + moves).clamp(0, 1) if level in case.boxed else x + moves
                flags = flags_of(method, moved.to(case.test.x.dtype))
                require(bool(flags.all()), f"{level}, norm {p}, point {row}: the flag went away")


def _moves(x: Tensor, p: float, case: MethodCase, generator: torch.Generator) -> Tensor:
    """(k, *shape) of norm p just below 1: towards other points, along axes, and random."""
    other = case.test.x[case.test.y == 0].double()
    towards = other[: case.attempts // 2] - x
    noise = torch.randn((case.attempts // 2, *x.shape), generator=generator, dtype=torch.float64)
    moves = torch.cat((towards, towards.sign(), noise, noise.sign(), noise**5))
    # float32 inputs round: stay inside by more than that.
    length = vector_norm(moves, p).clamp(min=1e-300)
    return moves / length.reshape(-1, *[1] * x.ndim) * (1 - 1e-4)


def batches_do_not_matter(case: MethodCase) -> None:
    """One point at a time gives what all at once give."""
    if not case.repeats:
        return
    method = fitted(case)
    for level in method.levels:
        whole = radii_of(method, case.test.x[:6], level)
        for row in range(6):
            alone = radii_of(method, case.test.x[row : row + 1], level)
            for p in whole:
                require(
                    bool(np.isclose(alone[p][0], whole[p][row], rtol=1e-4, atol=1e-7)),
                    f"{level}, norm {p}: {alone[p][0]} alone, {whole[p][row]} in a batch",
                )


def survives_a_save(case: MethodCase) -> None:
    """A fresh method that loads what another saved predicts and certifies the same."""
    method = fitted(case)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "method.safetensors"
        method.save(path)
        again = case.make()
        again.load(path)
    require(bool((again.predict(case.test.x) == method.predict(case.test.x)).all()), "predictions")
    if not case.repeats:
        return
    for level in method.levels:
        before, after = (radii_of(one, case.test.x, level) for one in (method, again))
        for p in before:
            require(bool(np.allclose(before[p], after[p], rtol=1e-6)), f"{level}, norm {p}: radii")


METHOD_LAWS: tuple[Law[MethodCase], ...] = (
    describes_itself,
    learns,
    radii_are_radii,
    survives_perturbations,
    batches_do_not_matter,
    survives_a_save,
)


def check_method(case: MethodCase) -> None:
    """Every law of a method.

    Raises:
        AssertionError: naming the laws that are broken.
    """
    check_all(METHOD_LAWS, case)
