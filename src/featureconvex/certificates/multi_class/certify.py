"""Certification of models of several classes."""

from collections.abc import Iterable, Sequence
from typing import Any, overload

import torch

from featureconvex.ambient import check_float32_products, undisturbed
from featureconvex.certificates.arguments import (
    check_about_files,
    check_domain,
    check_inputs,
    check_threats,
)
from featureconvex.certificates.batches import batches, rows_per_batch
from featureconvex.certificates.domain import Domain
from featureconvex.certificates.levels import (
    ClosedForm,
    Level,
    Sound,
    Tight,
    level_named,
    refuse_options,
)
from featureconvex.certificates.levels import Domain as InDomain
from featureconvex.certificates.levels.sound.line import plain_convolutions
from featureconvex.certificates.multi_class.batch import Batch, Filled, fill
from featureconvex.certificates.multi_class.certificate import ClassCertificate, chosen_classes
from featureconvex.certificates.threats import Threat
from featureconvex.errors import UserError
from featureconvex.given import whole_number, yes_or_no
from featureconvex.models.frozen_classes import frozen_members
from featureconvex.models.multi_class import MultiClassModel
from featureconvex.progress import progress_bar
from featureconvex.rounding.directed import check_gradual_underflow


@overload
def certify_classes(
    model: MultiClassModel,
    x: Any,
    threat: Threat | None = ...,
    domain: Domain | None = ...,
    level: str | Level = ...,
    *,
    sensitive: Iterable[int] | None = ...,
    batch_size: int | None = ...,
    progress: bool = ...,
) -> ClassCertificate: ...
@overload
def certify_classes(
    model: MultiClassModel,
    x: Any,
    threat: Sequence[Threat],
    domain: Domain | None = ...,
    level: str | Level = ...,
    *,
    sensitive: Iterable[int] | None = ...,
    batch_size: int | None = ...,
    progress: bool = ...,
) -> list[ClassCertificate]: ...
def certify_classes(
    model: MultiClassModel,
    x: Any,
    threat: Threat | Sequence[Threat] | None = None,
    domain: Domain | None = None,
    level: str | Level = "closed-form",
    *,
    sensitive: Iterable[int] | None = None,
    batch_size: int | None = None,
    progress: bool = False,
    **options: Any,
) -> ClassCertificate | list[ClassCertificate]:
    """For every input, prove a budget below which it stays in its class, and one for every other class.

    The predicted class's score is bounded below by its tangent, every rival's above by how steep it can be:
    see :mod:`featureconvex.certificates.multi_class.rivals`. Every radius has its rounding errors
    accounted for (arithmetic ``real``), at every level; ``Sound(base, arithmetic="float32")`` is about the
    class that the deployed model computes.

    Args:
        model: of several classes; what it computes in eval mode is certified.
        x: (n, ...) tensor or array, in the units of the raw input.
        threat: what the budget measures, default ``Lp(2)``; several share one pass. Others than norms need
            level ``domain`` or above.
        domain: where the attacker may move, default everywhere.
        level: ``"closed-form"``: rivals as steep as they are anywhere, and no domain. ``"domain"``: the
            same in the domain. ``"tight"``: for norms, rivals as steep as they are within the budget.
            ``"sound"``: as its base, whose radii are sound here already, and with a deployed arithmetic at
            most these.
        sensitive: the numbers of the classes that an attacker wants to leave; a row of another class has
            status ``not_sensitive``. None: all.
        batch_size: rows per pass.
        progress: show a bar on standard error.

    Returns:
        One certificate with n rows, or a list of them for a list of threats.

    Raises:
        UserError: unknown level or class, a threat the level cannot handle, an input of the wrong shape,
            a part of the model without a rounding rule or a bound on its slopes, or settings under which a
            deployed pass rounds in a way not covered.
        ConvexityError: a network is no longer provably convex.
        TypeError: an option of a level; it belongs into the level's object.

    >>> import featureconvex as fc
    >>> nets = [fc.nn.MaxAffine(2, pieces=1) for _ in range(2)]
    >>> for net, row in zip(nets, ([3.0, 0.0], [0.0, 4.0])):
    ...     _ = net.affine.weight.data.copy_(torch.tensor([row])), net.affine.bias.data.zero_()
    >>> model = fc.MultiClassModel(fc.features.Identity(), nets)
    >>> fc.certify_classes(model, torch.tensor([[5.0, 0.0]])).away.round(6)
    array([[0., 3.]])
    """
    refuse_options(options)
    chosen = _checked_level(level)
    chosen.check_settings()
    arithmetic = chosen.arithmetic if isinstance(chosen, Sound) else "real"
    if not isinstance(model, MultiClassModel):
        raise UserError(
            f"expected a MultiClassModel, got {type(model).__name__}; fc.certify takes models of one "
            "sensitive class, and a classifier has a certify of its own"
        )
    if batch_size is not None:
        batch_size = whole_number("batch_size", batch_size, 1)
    progress = yes_or_no("progress", progress)
    members = model.members()
    count = len(members)
    named = range(count) if sensitive is None else sensitive
    wanted = torch.from_numpy(chosen_classes("sensitive", named, count))
    x = check_inputs(x, members[0])
    threats = check_threats(threat, model=members[0])
    domain = check_domain(domain, model=members[0])
    check_about_files(threats, members[0])
    domain.check_count(len(x))
    _check_threats(threats, chosen)
    size = batch_size or rows_per_batch(x)
    check_gradual_underflow()
    if model.dtype == torch.float32:
        check_float32_products(model.device)
    columns = [Filled(len(x), count) for _ in threats]
    with undisturbed(), progress_bar(f"certify ({chosen.name})", len(x), progress) as tick:
        start = 0
        for batch in batches(x, size, model.device, model.dtype):
            for item in threats:
                item.check(tuple(batch.shape[1:]))
            frozen = frozen_members(model, batch)
            held = domain.rows(slice(start, start + len(batch)))
            with torch.no_grad(), plain_convolutions():
                if len(batch):
                    of_batch = Batch.of(frozen, batch, wanted, arithmetic)
                    fill(columns, start, of_batch, threats, held, chosen)
            start += len(batch)
            tick(len(batch), "")
    found = [
        ClassCertificate(
            radius=filled.columns.radius,
            upper=filled.columns.upper,
            status=filled.columns.status,
            margin=filled.columns.margin,
            slope=filled.columns.slope,
            threat=item,
            domain=domain,
            level=chosen.name,
            guarantee=chosen.guarantee,
            predicted=filled.predicted,
            away=filled.away,
        )
        for item, filled in zip(threats, columns, strict=True)
    ]
    return found if isinstance(threat, Sequence) else found[0]


def _checked_level(level: object) -> Level:
    """Levels whose proofs are known for differences of scores.

    Raises:
        UserError: another one.
    """
    chosen = level_named(level)
    base = chosen.base if isinstance(chosen, Sound) else chosen
    if not isinstance(base, ClosedForm | InDomain | Tight):
        raise UserError(
            f"level {chosen.name!r} has no proof for several classes; use domain, tight or sound"
        )
    return chosen


def _check_threats(threats: list[Threat], level: Level) -> None:
    base = level.base if isinstance(level, Sound) else level
    for item in threats:
        if item.exponent is None and isinstance(base, ClosedForm):
            raise UserError(
                f"level 'closed-form' certifies Lp threats only, got {item!r}; "
                'use level "domain" or above'
            )
