"""Certification of whole arrays: statuses, batches, and the choice of a level."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor, nn

from featureconvex.certificates.certificate import Certificate, Guarantee, Status
from featureconvex.certificates.domain import Domain, Unbounded
from featureconvex.certificates.levels import closed_form
from featureconvex.certificates.minorant import tangent
from featureconvex.certificates.threats import Lp, Threat
from featureconvex.errors import UserError
from featureconvex.model import FeatureConvexModel
from featureconvex.nn.convexity import prove_convex

LEVELS = ("closed-form",)
# Input numbers per batch: bounds the memory of a forward and backward pass for any number of rows.
BATCH_NUMBERS = 2**20


@overload
def certify(
    model: FeatureConvexModel,
    x: Any,
    threat: Threat | None = ...,
    domain: Domain | None = ...,
    level: str = ...,
    *,
    batch_size: int | None = ...,
) -> Certificate: ...


@overload
def certify(
    model: FeatureConvexModel,
    x: Any,
    threat: Sequence[Threat],
    domain: Domain | None = ...,
    level: str = ...,
    *,
    batch_size: int | None = ...,
) -> list[Certificate]: ...


def certify(
    model: FeatureConvexModel,
    x: Any,
    threat: Threat | Sequence[Threat] | None = None,
    domain: Domain | None = None,
    level: str = "closed-form",
    *,
    batch_size: int | None = None,
) -> Certificate | list[Certificate]:
    """For every input predicted sensitive, prove a budget below which it stays so.

    Args:
        model: a feature-convex model; certified in eval mode, its mode is restored.
        x: (n, ...) tensor or array, in the units of the raw input. It is converted to the model's
            dtype, and the certificate is about the converted input.
        threat: what the budget measures, default ``Lp(2)``; several share one pass.
        domain: where the attacker may move, default everywhere.
        level: ``"closed-form"``.
        batch_size: rows per pass; by default as many as keep memory bounded.

    Returns:
        One certificate with n rows, or a list of them for a list of threats.

    Raises:
        UserError: unknown level, a threat the level cannot handle, or an input of the wrong shape.
        ConvexityError: the network is no longer provably convex.

    >>> import featureconvex as fc
    >>> net = fc.nn.MaxAffine(2, pieces=1)
    >>> _ = net.affine.weight.data.copy_(torch.tensor([[3.0, 4.0]])), net.affine.bias.data.zero_()
    >>> model = fc.FeatureConvexModel(fc.features.Identity(), net)
    >>> fc.certify(model, torch.tensor([[1.0, 0.5], [-1.0, 0.0]])).radius.round(9)
    array([1., 0.])
    """
    threats = (
        [Lp(2)] if threat is None else [threat] if isinstance(threat, Threat) else list(threat)
    )
    if level not in LEVELS:
        raise UserError(f"unknown level {level!r}; use one of {', '.join(LEVELS)}")
    for item in threats:
        if not isinstance(item, Lp):
            raise UserError(f"level {level!r} certifies Lp threats only, got {item!r}")
    norms = [item for item in threats if isinstance(item, Lp)]
    prove_convex(model.convex_net)
    domain = Unbounded() if domain is None else domain
    size = batch_size or max(1, BATCH_NUMBERS // max(1, int(np.prod(x.shape[1:]))))
    with evaluating(model):
        parts = [_closed_form(model, batch, norms, domain) for batch in _batches(model, x, size)]
    certificates = [
        Certificate(
            **{name: np.concatenate([part[k][name] for part in parts]) for name in _FIELDS},
            threat=item,
            domain=domain,
            level=level,
            guarantee=Guarantee.deterministic,
        )
        for k, item in enumerate(threats)
    ]
    return certificates[0] if threat is None or isinstance(threat, Threat) else certificates


_FIELDS = ("radius", "upper", "status", "margin", "slope")


def _closed_form(
    model: FeatureConvexModel, x: Tensor, threats: Sequence[Lp], domain: Domain
) -> list[dict[str, np.ndarray]]:
    minorant = tangent(model, x)
    finite = torch.isfinite(x).flatten(1).all(1) & torch.isfinite(minorant.value)
    inside = domain.contains(x)
    results = []
    for threat in threats:
        slope = closed_form.slope(minorant, model.feature_map, threat)
        usable = finite & torch.isfinite(slope)
        radius = closed_form.radius(minorant.value, slope).where(usable & inside, 0.0)
        results.append(
            {
                "radius": radius.cpu().numpy(),
                "upper": np.full(len(x), np.nan),
                "status": statuses(minorant.value, radius, usable, inside),
                "margin": minorant.value.cpu().numpy(),
                "slope": slope.cpu().numpy(),
            }
        )
    return results


def statuses(margin: Tensor, radius: Tensor, finite: Tensor, inside: Tensor) -> np.ndarray:
    """(n,) object array of :class:`Status`, the most serious obstacle first."""
    status = np.full(len(margin), Status.certified, dtype=object)
    status[torch.isinf(radius).cpu().numpy()] = Status.unbounded
    status[(margin < 0).cpu().numpy()] = Status.not_sensitive
    # A positive margin whose radius underflows to 0 is as good as a tie.
    status[((margin == 0) | ((margin > 0) & (radius == 0))).cpu().numpy()] = Status.boundary
    status[~inside.cpu().numpy()] = Status.outside_domain
    status[~finite.cpu().numpy()] = Status.non_finite
    return status


def _batches(model: FeatureConvexModel, x: Any, size: int) -> Iterator[Tensor]:
    """Slices of ``x`` on the model's device and in its dtype; one empty batch for no rows."""
    for start in range(0, max(1, len(x)), size):
        yield torch.as_tensor(x[start : start + size]).to(model.device, model.dtype)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode inside, every module's own mode restored behind."""
    modes = {part: part.training for part in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode
