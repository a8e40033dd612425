"""The public attack: checks, a search, and the record of it."""

from typing import Any

import numpy as np
import torch
from scipy.sparse import issparse
from torch import Tensor

from featureconvex.ambient import undisturbed
from featureconvex.certificates.arguments import (
    check_about_files,
    check_domain,
    check_inputs,
    check_model,
    check_threat,
)
from featureconvex.certificates.attacks.classes import search_classes
from featureconvex.certificates.attacks.result import AttackResult
from featureconvex.certificates.attacks.search import Search, search_all
from featureconvex.certificates.domain import Domain
from featureconvex.certificates.threats import Threat
from featureconvex.errors import UserError
from featureconvex.given import one_of, real_tensor, rows_tensor, whole_number, yes_or_no
from featureconvex.models.frozen import frozen_model
from featureconvex.models.frozen_classes import frozen_members
from featureconvex.models.multi_class import MultiClassModel
from featureconvex.progress import progress_bar

METHODS = ("descent", "foolbox")


def attack(
    clf_or_model: Any,
    X: Any,
    threat: Threat | None = None,
    domain: Domain | None = None,
    budget: Any = None,
    *,
    steps: int = 100,
    restarts: int = 1,
    method: str = "descent",
    seed: int = 0,
    progress: bool = False,
) -> AttackResult:
    """Look for points that leave the sensitive class: an upper bound on every radius.

    Of a model of several classes, points that leave the class they are in; its margin is the score of that
    class less the best other one.

    For an affine feature map and an Lp threat the search is convex, and converges to the exact robust
    radius as ``steps`` grows (within about 1 % at the default on networks for MNIST; slowly where
    coordinates differ in scale by orders of magnitude). For other maps and threats it is a heuristic.

    Args:
        clf_or_model: a :class:`~featureconvex.FeatureConvexModel`, a
            :class:`~featureconvex.MultiClassModel`, or an estimator that holds one.
        X: (n, ...) inputs, as for ``certify``.
        threat: what the budget measures, default ``Lp(2)``.
        domain: where the attacker may move, default everywhere.
        budget: the largest budget to use, a number or (n,); None looks for the smallest one.
        steps: gradient evaluations per search and restart.
        restarts: searches; all but the first start at a random point. For a patch: windows tried are
            ten times this.
        method: ``"descent"``, or ``"foolbox"`` for an independent check (extra ``attacks``).
        seed: of the random starts.
        progress: show a bar on standard error.

    Raises:
        UserError: a negative budget, an unknown method, or what foolbox cannot do.

    >>> import featureconvex as fc
    >>> net = fc.nn.MaxAffine(2, pieces=1)
    >>> _ = net.affine.weight.data.copy_(torch.tensor([[3.0, 4.0]])), net.affine.bias.data.zero_()
    >>> model = fc.FeatureConvexModel(fc.features.Identity(), net)
    >>> result = attack(model, torch.tensor([[1.0, 0.5]]), fc.Lp(2))
    >>> bool(result.found[0]), round(float(result.distance[0]), 4)
    (True, 1.0)
    """
    several = getattr(clf_or_model, "model_", clf_or_model)
    members = several.members() if isinstance(several, MultiClassModel) else [check_model(several)]
    model = members[0]
    names = getattr(clf_or_model, "feature_names_in_", None)
    threat = check_threat(threat, names, model)
    domain = check_domain(domain, names, model=model)
    method = one_of("method", method, METHODS)
    steps, restarts = whole_number("steps", steps, 1), whole_number("restarts", restarts, 1)
    seed = whole_number("seed", seed, -(2**63))
    if seed >= 2**63:
        raise UserError(f"seed must be less than 2^63, got {seed}")
    if issparse(X):
        X = X.toarray()
    elif hasattr(X, "columns") and hasattr(clf_or_model, "validated_rows"):
        # A table, as a classifier reads it: in the order of its columns' names.
        X = clf_or_model.validated_rows(X, allow_missing=True)
    x = rows_tensor(check_inputs(X, model)).to(model.device, model.dtype)
    if x.is_inference():
        x = x.clone()  # gradients can be taken at a copy only
    threat.check(tuple(x.shape[1:]))
    domain.check_count(len(x))
    check_about_files([threat], model)
    limit = _limit(budget, len(x), x.device)
    search = Search(threat, steps, restarts, method, seed)
    progress, work = yes_or_no("progress", progress), len(x) * max(1, len(members) - 1)
    with undisturbed(), progress_bar("attack", work, progress) as tick:
        if isinstance(several, MultiClassModel):
            frozen = frozen_members(several, x)
            wanted = getattr(clf_or_model, "sensitive_", np.ones(len(frozen), dtype=bool))
            points, margin, distance = search_classes(
                frozen, x, domain, limit, search, wanted, tick
            )
        else:
            points, margin, distance = search_all(
                frozen_model(model, x), x, domain, limit, search, tick=tick
            )
    return AttackResult(
        adversarial=points.cpu().numpy(),
        found=~np.isnan(distance.cpu().numpy()),
        distance=distance.cpu().numpy(),
        margin=margin.cpu().numpy(),
        threat=threat,
        domain=domain,
        budget=None if limit is None else limit.cpu().numpy(),
        method=method,
    )


def _limit(budget: Any, count: int, device: torch.device) -> Tensor | None:
    if budget is None:
        return None
    limit = real_tensor("budget", budget, "a number, or one per row").to(device)
    if limit.ndim > 1 or (limit.ndim == 1 and len(limit) != count):
        raise UserError(f"budget takes a number or one per row, got shape {tuple(limit.shape)}")
    if not bool((limit >= 0).all()):
        raise UserError(f"a budget must be >= 0, got {budget}")
    return limit.expand(count).clone()
