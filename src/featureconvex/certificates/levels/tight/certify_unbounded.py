"""Proofs that no attack exists at all, where the domain has no border to stop one.

Without a border a radius ``value / ||v||`` is infinite only for ``v = 0``, and a mixture of tangents that
should cancel leaves rounding instead. By Farkas' lemma no point of the domain has all cuts
``c_k(e) = value_k + <w_k, e> <= 0`` exactly if some ``mu >= 0`` has ``sum mu_k w_k = 0`` and
``sum mu_k value_k > 0``: a minorant with ``v = 0`` and ``beta > 0``. Borders are cuts too, of the domain
instead of the margin: ``e_i - up_i <= 0`` and ``-e_i - down_i <= 0``.

Theorem (a proof that survives rounding). Let the ``w_k`` (k of a set S) have norm 1 and full rank, with
least singular value ``sigma``; let ``mu > 0`` sum to 1 on S, with least entry ``m``, and let
``r = ||sum mu_k w_k||``. Then ``max_k <w_k, e> >= delta ||e||`` with
``delta = sigma m / sqrt(|S|) - r``. Proof: with ``t = max_k <w_k, e>``, which is at least ``-r ||e||``,
every ``mu_k <w_k, e>`` lies between ``-r ||e|| - t`` and ``t``, so
``sigma ||e|| <= sqrt(|S|) max_k |<w_k, e>| <= sqrt(|S|) (t + r ||e||) / m``. So with
``R = max(0, -min_k value_k) / delta`` some cut is positive wherever ``||e|| > R``, and the mixture is
positive wherever ``||e|| <= R``, if ``sum mu_k value_k > r R``. Cancellation need not be exact, only
robust: ``r`` and ``sigma`` carry the slopes' own rounding.

Slopes that span less than the space (``|<a, x>| + 1``, say) can only cancel exactly. There the weights
are found in rational numbers, for few cuts.
"""

from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import nnls
from torch import Tensor

from featureconvex.certificates.levels.tight.cuts import Cuts
from featureconvex.certificates.levels.tight.geometry import Geometry
from featureconvex.certificates.minorant import ROUNDINGS

Array = NDArray[np.float64]

# Borders that are taken up as cuts, and cuts that are cancelled in rational numbers.
MOST_BORDERS, MOST_EXACT = 128, 8
# The share of the margin that numerical weights may leave before it is worth looking at them.
ROUGH = 1e-6


def proved_unbounded(geometry: Geometry, cuts: Cuts, rows: Tensor, tau: float) -> Tensor:
    """Whether the cuts prove that nothing in the domain flips an input: (n,) bool, sufficient only.

    Args:
        geometry: the attackers.
        cuts: tangents of the margin.
        rows: (n,) bool, worth a try: about a millisecond each.
        tau: the threshold that the heights include.
    """
    proved = torch.zeros_like(rows)
    if geometry.enclosed:
        return proved
    rounding = ROUNDINGS * torch.finfo(geometry.x.dtype).eps
    for row in rows.nonzero().squeeze(1).tolist():
        down, up = (end[row].double().cpu().numpy() for end in (geometry.down, geometry.up))
        slopes = cuts.slopes[row].double().cpu().numpy()
        values = cuts.heights[row].cpu().numpy()
        place = np.abs((geometry.x[row] * geometry.scale).double().cpu().numpy())
        # A cut from too far away may have overflowed.
        good = np.isfinite(values) & np.isfinite(slopes).all(axis=1)
        if good.any():
            # A height is as uncertain as what cancels in it, the threshold and the products with the
            # input: an infinite radius that rounding makes is wrong by more than rounding.
            slopes, values = slopes[good], values[good]
            values = values - rounding * (np.abs(values) + abs(tau) + np.abs(slopes) @ place)
            proved[row] = _System(slopes, values, down, up, rounding).proves()
    return proved


class _System:
    """All cuts of one attacker, those of the domain included, in units in which they are alike.

    Args:
        slopes: (k, d).
        values: (k,).
        down: (d,), how far each coordinate can fall, >= 0.
        up: (d,), how far it can rise.
        rounding: relative error of the slopes.
    """

    def __init__(
        self, slopes: Array, values: Array, down: Array, up: Array, rounding: float
    ) -> None:
        steepest = np.abs(slopes).max(axis=0)
        # What no cut depends on, or what cannot move, plays no part.
        moves = (steepest > 0) & (down + up > 0)
        unit = 2.0 ** np.round(np.log2(steepest[moves]))
        eye = np.eye(len(unit))
        low, high = (end[moves] for end in (down, up))
        self.borders = int(np.isfinite(low).sum() + np.isfinite(high).sum())
        if self.borders > MOST_BORDERS:
            eye = eye[:0]
            low, high = low[:0], high[:0]
        borders = np.vstack((-eye[np.isfinite(low)], eye[np.isfinite(high)]))
        ends = np.concatenate((-(low * unit)[np.isfinite(low)], -(high * unit)[np.isfinite(high)]))
        self.slopes = np.vstack((slopes[:, moves] / unit, borders))
        self.values = np.concatenate((values, ends))
        self.error = np.where(np.arange(len(self.values)) < len(values), rounding, 0.0)

    def proves(self) -> bool:
        """Whether no ``e`` has all cuts ``<= 0``."""
        size = np.linalg.norm(self.slopes, axis=1)
        # A cut that cannot fall is a proof of its own, of another kind: see the level's last check.
        flat = size == 0
        if self.borders > MOST_BORDERS or flat.all():
            return False
        size = size[~flat]
        slopes, values = self.slopes[~flat] / size[:, None], self.values[~flat] / size
        found = _weights(slopes, values)
        if found is None:
            return False
        kept, mu = found
        if np.linalg.matrix_rank(slopes[kept]) == slopes.shape[1]:
            return _robust(slopes[kept], values[kept], self.error[~flat][kept], mu)
        # Exact means exact: the slopes as they are, not their quotients.
        return len(kept) <= MOST_EXACT and _exact(
            self.slopes[~flat][kept], self.values[~flat][kept]
        )


def _weights(slopes: Array, values: Array) -> tuple[NDArray[np.intp], Array] | None:
    """Cuts with linearly independent ``(w_k, value_k)``, and weights that nearly cancel the slopes.

    The nonnegative least-squares problem ``sum mu_k (w_k, value_k) = (0, 1)`` (Lawson and Hanson 1974),
    columns brought to one length, values in units of the first, the distance to level 0's own zero.
    """
    stacked = np.vstack((slopes.T, values / max(abs(float(values[0])), 1e-300)))
    length = np.linalg.norm(stacked, axis=0)
    goal = np.append(np.zeros(slopes.shape[1]), 1.0)
    try:
        mu, left = nnls(stacked / length, goal, maxiter=10 * len(values) + 100)
    except RuntimeError:  # out of iterations
        return None
    kept = np.flatnonzero(mu > 0)
    if not (left <= ROUGH and len(kept)):
        return None
    mu = mu[kept] / length[kept]
    return kept, mu / mu.sum()


def _robust(slopes: Array, values: Array, error: Array, mu: Array) -> bool:
    """The theorem above."""
    count = np.sqrt(len(mu))
    left = float(np.linalg.norm(mu @ slopes) + mu @ error) + 1e-15
    least = float(np.linalg.svd(slopes, compute_uv=False)[-1] - np.linalg.norm(error)) - 1e-14
    rate = least * float(mu.min()) / count - left
    if not rate > 0:
        return False
    reach = max(0.0, -float(values.min())) / rate
    return bool(mu @ values > 2 * left * reach + 1e-12 * (mu @ np.abs(values)))


def _exact(slopes: Array, values: Array) -> bool:
    """Whether rational weights ``mu >= 0`` cancel the slopes exactly and leave a positive value."""
    mu = _null_vector([[Fraction(v) for v in column] for column in slopes.T.tolist()])
    if mu is None or min(mu) < 0:
        return False
    return sum(w * Fraction(v) for w, v in zip(mu, values.tolist(), strict=True)) > 0


def _null_vector(rows: list[list[Fraction]]) -> list[Fraction] | None:
    """The one direction that every row is orthogonal to; None if there is none, or more than one."""
    size = len(rows[0])
    done: dict[int, list[Fraction]] = {}
    for row in rows:
        for k, pivot in done.items():
            row = [a - row[k] * b for a, b in zip(row, pivot, strict=True)]
        k = next((j for j, entry in enumerate(row) if entry), size)
        if k == size:
            continue
        row = [a / row[k] for a in row]
        for j, pivot in done.items():
            done[j] = [a - pivot[k] * b for a, b in zip(pivot, row, strict=True)]
        done[k] = row
    free = [k for k in range(size) if k not in done]
    if len(free) != 1:
        return None
    return [Fraction(1) if k == free[0] else -done[k][free[0]] for k in range(size)]
