"""Three noises for randomized smoothing, and the radii that each of them proves.

Let ``f`` be any classifier and ``p`` at most the probability that ``f(x + z)`` is sensitive. A
radius is a norm's ``r`` for which the probability stays above 1/2 for every ``f`` of that kind, at
every ``x + delta`` with ``||delta|| < r``. Each ``sigma`` is the **standard deviation of one
coordinate**, as in the code of Yang et al. 2020 (RS4A) and of the paper (arXiv 2302.01961), which
call the scale of the density ``lambda``.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import inf, sqrt
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri
from scipy.stats import binom
from torch import Tensor

Floats = NDArray[np.float64]

ROUNDING = 1 - 1e-9
"""Radii are shortened by this, which is more than float64 can have lost on the way."""


def paper_sigmas(task: str) -> tuple[float, ...]:
    """The standard deviations of arXiv 2302.01961: 0.75 x {1, 2, 3, 4}, for Malimg 3.5 x.

    >>> paper_sigmas("mnist-3-8"), paper_sigmas("malimg")
    ((0.75, 1.5, 2.25, 3.0), (3.5, 7.0, 10.5, 14.0))
    """
    unit = 3.5 if task.startswith("malimg") else 0.75
    return (unit, 2 * unit, 3 * unit, 4 * unit)


@dataclass(frozen=True)
class Noise(ABC):
    """Independent symmetric noise on every coordinate.

    Attributes:
        sigma: standard deviation of a coordinate, > 0, in the units of the input.
        norms: the exponents of the norms with a radius of their own; others follow by conversion.
    """

    sigma: float
    norms: ClassVar[tuple[float, ...]]

    @abstractmethod
    def sample(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Fresh noise, float32 of the shape given, on the generator's device."""

    @abstractmethod
    def _radius(self, p: Floats, norm: float, dimension: int) -> Floats:
        """For ``p`` (n,) in (1/2, 1)."""

    def radii(self, p: ArrayLike, dimension: int) -> dict[float, Floats]:
        """Norm -> (n,) radius: 0 where ``p`` <= 1/2.

        Args:
            p: (n,) in [0, 1), lower bounds of the sensitive class's probability.
            dimension: the number of coordinates of one input.
        """
        bounds = np.asarray(p, dtype=np.float64)
        certified = bounds > 0.5
        radii = {norm: np.zeros(bounds.shape) for norm in self.norms}
        for norm, radius in radii.items():
            proved = self._radius(bounds[certified], norm, dimension)
            radius[certified] = np.maximum(proved * ROUNDING, 0)
        return radii


class GaussianNoise(Noise):
    """Normal noise: ``r_2 = sigma Phi^-1(p)`` (Cohen, Rosenfeld and Kolter 2019, Theorem 1).

    By Neyman and Pearson the worst classifier is a half-space across ``delta``. Only the length of
    ``delta`` matters, so l1 and linf follow without loss by conversion: factors 1 and
    ``1 / sqrt(d)``, reached by a coordinate's direction and by a diagonal.

    >>> GaussianNoise(0.5).radii([0.4, 0.5, 0.9], dimension=784)[2].round(4)
    array([0.    , 0.    , 0.6408])
    """

    norms = (2.0,)

    def sample(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Normal with standard deviation ``sigma``."""
        noise = torch.empty(shape, device=generator.device)
        return noise.normal_(0, self.sigma, generator=generator)

    def _radius(self, p: Floats, norm: float, dimension: int) -> Floats:
        return np.asarray(self.sigma * ndtri(p))


class LaplacianNoise(Noise):
    """Laplacian noise, density ``exp(-|z| / scale) / (2 scale)``, ``scale = sigma / sqrt(2)``.

    * l1: ``r_1 = -scale log(2 (1 - p))`` (Teng, Lee and Yuan 2020). A shift changes the density by
      a factor of at most ``exp(||delta||_1 / scale)``, so the other class's probability is at most
      ``(1 - p) exp(||delta||_1 / scale)``; reached by one coordinate.
    * linf: the differential method of Yang et al. 2020, see :func:`rademacher_radius`.

    >>> radii = LaplacianNoise(0.5).radii([0.4, 0.5, 0.9], dimension=784)
    >>> radii[1].round(4), radii[inf].round(4)
    (array([0.   , 0.   , 0.569]), array([0.    , 0.    , 0.0162]))
    """

    norms = (1.0, inf)

    @property
    def scale(self) -> float:
        """``lambda``, the mean of ``|z|``."""
        return self.sigma / sqrt(2)

    def sample(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """By inverting the distribution function of ``|z|`` at a uniform number with a sign."""
        uniform = torch.empty(shape, device=generator.device).uniform_(-1, 1, generator=generator)
        # |uniform| = 1 would give infinite noise; the float32 below it stands for it.
        size = uniform.abs().clamp_(max=1 - 2**-24).neg_().log1p_().mul_(-self.scale)
        return size.copysign_(uniform)

    def _radius(self, p: Floats, norm: float, dimension: int) -> Floats:
        if norm == 1:
            return np.asarray(-self.scale * np.log(2 * (1 - p)))
        return self.scale * np.array([rademacher_radius(value, dimension) for value in p])


class UniformNoise(Noise):
    """Uniform noise on a cube of half-side ``scale = sqrt(3) sigma`` (Yang et al. 2020).

    The cubes around ``x`` and ``x + delta`` share the fraction
    ``V = prod_i (1 - |delta_i| / (2 scale))``, where both densities are equal. Outside it everything
    may go over to the other class: the probability is at least ``p - (1 - V)``, so ``V > 3/2 - p``
    is enough, and the worst classifier reaches it.

    * l1: ``V >= 1 - ||delta||_1 / (2 scale)``, equal for one coordinate:
      ``r_1 = 2 scale (p - 1/2)``.
    * linf: ``V`` is least at a corner: ``r_inf = 2 scale (1 - (3/2 - p)^(1/d))``.

    >>> radii = UniformNoise(0.5).radii([0.4, 0.5, 0.9], dimension=784)
    >>> radii[1].round(4), radii[inf].round(5)
    (array([0.    , 0.    , 0.6928]), array([0.     , 0.     , 0.00113]))
    """

    norms = (1.0, inf)

    @property
    def scale(self) -> float:
        """``lambda``, half the side of the cube."""
        return sqrt(3) * self.sigma

    def sample(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Uniform on ``[-scale, scale]``."""
        noise = torch.empty(shape, device=generator.device)
        return noise.uniform_(-self.scale, self.scale, generator=generator)

    def _radius(self, p: Floats, norm: float, dimension: int) -> Floats:
        if norm == 1:
            return 2 * self.scale * (p - 0.5)
        return np.asarray(-2 * self.scale * np.expm1(np.log(1.5 - p) / dimension))


def rademacher_radius(p: float, dimension: int) -> float:
    """The linf radius under Laplacian noise of scale 1: ``r = integral from 1-p to 1/2 of dq / F(q)``.

    Go from ``x`` in a direction ``v``, ``||v||_inf = 1``, and let ``h(t)`` be the probability of the
    other class at ``x + t v``. Its derivative is ``E[<v, sign(z)>; other class]``, at most

        ``F(h) = max over v, and over events U of probability h, of E[<v, sign(z)>; U]``

    so that ``h`` needs at least the integral above to climb from ``1 - p`` to 1/2 (Yang et al.
    2020, the differential method). The maximum over ``U`` is convex in ``v``, so a corner of the cube
    reaches it, and by symmetry ``v = (1, ..., 1)``. Then ``<v, sign(z)> = S``, a sum of ``d``
    fair signs, and ``F(q)`` is the mean of ``S`` over its highest values of probability ``q``:
    piecewise linear with slope ``c`` from ``q = P(S > c)`` to ``P(S >= c)``, where it has

        ``E[S; S > c] = d / 2 P(B' = m)``, with ``c = 2 m - d`` and ``B'`` binomial (d - 1, 1/2),

    because the sum telescopes. Each piece contributes ``log(F(end) / F(start)) / c``.

    Args:
        p: in (1/2, 1).
        dimension: ``d`` >= 1.

    >>> round(rademacher_radius(0.9, 1), 6), round(rademacher_radius(0.9, 784), 6)
    (1.609438, 0.045777)
    """
    heads = binom(dimension, 0.5)
    # The piece with P(S > c) < 1 - p <= P(S >= c), then all down to the one that holds 1/2.
    first = int(heads.isf(1 - p))
    m = np.arange(min(first + 1, dimension), (dimension - 1) // 2, -1)
    slope = 2.0 * m - dimension
    above = heads.sf(m)
    start = np.clip(above, 1 - p, 0.5)
    end = np.clip(heads.sf(m - 1), 1 - p, 0.5)
    mean = dimension / 2 * binom.pmf(m, dimension - 1, 0.5) + slope * (start - above)
    width = end - start
    used = width > 0
    width, slope, mean = width[used], slope[used], mean[used]
    flat = slope == 0
    grown = np.log1p(slope * width / mean) / np.where(flat, 1, slope)
    return float(np.where(flat, width / mean, grown).sum())
