"""Certification of whole arrays: statuses, batches, and the choice of a level."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, overload

import torch

from featureconvex.ambient import check_float32_products, undisturbed
from featureconvex.certificates.arguments import (
    check_about_files,
    check_domain,
    check_inputs,
    check_model,
    check_threats,
)
from featureconvex.certificates.batches import batches, finite_rows, rows_per_batch
from featureconvex.certificates.certificate import Certificate
from featureconvex.certificates.columns import Columns, Usable
from featureconvex.certificates.domain import Domain
from featureconvex.certificates.levels import (
    Bound,
    Level,
    Problem,
    Sound,
    level_named,
    refuse_options,
)
from featureconvex.certificates.levels.corner import with_corners
from featureconvex.certificates.minorant import tangent
from featureconvex.certificates.threats import Threat
from featureconvex.given import whole_number, yes_or_no
from featureconvex.models.frozen import frozen_model
from featureconvex.models.model import FeatureConvexModel
from featureconvex.progress import progress_bar


@overload
def certify(
    model: FeatureConvexModel,
    x: Any,
    threat: Threat | None = ...,
    domain: Domain | None = ...,
    level: str | Level = ...,
    *,
    batch_size: int | None = ...,
    progress: bool = ...,
) -> Certificate: ...
@overload
def certify(
    model: FeatureConvexModel,
    x: Any,
    threat: Sequence[Threat],
    domain: Domain | None = ...,
    level: str | Level = ...,
    *,
    batch_size: int | None = ...,
    progress: bool = ...,
) -> list[Certificate]: ...
def certify(
    model: FeatureConvexModel,
    x: Any,
    threat: Threat | Sequence[Threat] | None = None,
    domain: Domain | None = None,
    level: str | Level = "closed-form",
    *,
    batch_size: int | None = None,
    progress: bool = False,
    **options: Any,
) -> Certificate | list[Certificate]:
    """For every input predicted sensitive, prove a budget below which it stays so.

    Args:
        model: a feature-convex model. The certificate is about what it computes in eval mode; it is only
            read, so other threads may use it meanwhile.
        x: (n, ...) tensor or array, in the units of the raw input. It is converted to the model's
            dtype, and the certificate is about the converted input. A model that a run trained takes a data
            frame, too, and finds its columns by name.
        threat: what the budget measures, default ``Lp(2)``; several share one pass.
        domain: where the attacker may move, default everywhere.
        level: ``"closed-form"``, ``"domain"``, ``"tight"`` or ``"sound"``, each with its defaults; or an
            object that owns its options, such as ``fc.levels.Tight(iterations=40)`` or
            ``fc.levels.Sound(base="tight", arithmetic="float32")``.
        batch_size: rows per pass; by default as many as keep memory bounded.
        progress: show a bar on standard error.

    Returns:
        One certificate with n rows, or a list of them for a list of threats.

    Raises:
        UserError: unknown level, a threat the level cannot handle, or an input of the wrong shape.
        ConvexityError: the network is no longer provably convex, or a call of the model runs other code
            than its class's (a hook, a replaced method).
        TypeError: an option of a level; it belongs into the level's object.

    >>> import featureconvex as fc
    >>> net = fc.nn.MaxAffine(2, pieces=1)
    >>> _ = net.affine.weight.data.copy_(torch.tensor([[3.0, 4.0]])), net.affine.bias.data.zero_()
    >>> model = fc.FeatureConvexModel(fc.features.Identity(), net)
    >>> fc.certify(model, torch.tensor([[1.0, 0.5], [-1.0, 0.0]])).radius.round(9)
    array([1., 0.])
    """
    refuse_options(options)
    chosen = level_named(level)
    if batch_size is not None:
        batch_size = whole_number("batch_size", batch_size, 1)
    progress = yes_or_no("progress", progress)
    model = check_model(model)
    x = check_inputs(x, model)
    threats = check_threats(threat, model=model)
    domain = check_domain(domain, model=model)
    domain.check_count(len(x))
    check_about_files(threats, model)
    size = batch_size or rows_per_batch(x)
    chosen.check_settings()
    if model.dtype == torch.float32:
        check_float32_products(model.device)
    with undisturbed(), progress_bar(f"certify ({chosen.name})", len(x), progress) as tick:
        columns = [Columns(len(x)) for _ in threats]
        start = 0
        for batch in batches(x, size, model.device, model.dtype):
            model = frozen_model(model, batch)
            for item in threats:
                item.check(tuple(batch.shape[1:]))
            line = tangent(model, batch)
            finite = finite_rows(batch) & finite_rows(line.slope) & torch.isfinite(line.value)
            held = domain.rows(slice(start, start + len(batch)))
            inside = held.contains(batch)
            shared: dict[Any, Any] = {}
            for item, filled in zip(threats, columns, strict=True):
                problem = Problem(model, batch, item, held, line, shared)
                known = (inside & item.admits(batch)).cpu().numpy()
                usable = Usable(finite.cpu().numpy(), known)
                filled.write(start, _bound(chosen, problem), line.value, usable)
            start += len(batch)
            tick(len(batch), "")
    certificates = [
        Certificate(
            radius=filled.radius,
            upper=filled.upper,
            status=filled.status,
            margin=filled.margin,
            slope=filled.slope,
            threat=item,
            domain=domain,
            level=chosen.name,
            guarantee=chosen.guarantee,
        )
        for item, filled in zip(threats, columns, strict=True)
    ]
    return certificates if isinstance(threat, Sequence) else certificates[0]


def _bound(level: Level, problem: Problem) -> Bound:
    """The level's radii, or what the corners of a monotone model prove in the domain, if that is more."""
    bound, base, arithmetic = level.bound(problem), level, "real"
    if isinstance(level, Sound):
        base, arithmetic = level.base, level.arithmetic
    bound = with_corners(problem, bound, arithmetic) if base.uses_domain else bound
    return replace(bound, radius=problem.threat.limited(bound.radius, problem.x))
