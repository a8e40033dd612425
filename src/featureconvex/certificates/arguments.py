"""What a caller may hand to :func:`featureconvex.certify`, checked before any work starts."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from featureconvex.certificates.domain import Domain, Unbounded
from featureconvex.certificates.threats import Lp, Threat
from featureconvex.errors import UserError
from featureconvex.model import FeatureConvexModel


def check_model(model: object) -> FeatureConvexModel:
    """The model, if it is one.

    Raises:
        UserError: not a model.
    """
    if not isinstance(model, FeatureConvexModel):
        raise UserError(
            f"expected a FeatureConvexModel, got {type(model).__name__}; wrap a convex network as "
            "FeatureConvexModel(feature_map, convex_net), or call an estimator's own certify"
        )
    return model


def check_inputs(x: Any) -> Any:
    """Rows of numbers with a shape and slices: a tensor, an array (memory-mapped too) or a list.

    Raises:
        UserError: not numbers, ragged, or fewer than two dimensions.
    """
    if not isinstance(x, torch.Tensor):
        try:
            x = x if isinstance(x, np.ndarray) else np.asarray(x)
        except ValueError as error:
            raise UserError(f"the rows of x have different lengths: {error}") from error
        if x.dtype.kind not in "fiub":
            raise UserError(f"x must hold real numbers, got dtype {x.dtype}")
    elif x.is_complex():
        raise UserError(f"x must hold real numbers, got dtype {x.dtype}")
    if x.ndim < 2:
        raise UserError(
            f"x needs one row per input, (n, ...), got shape {tuple(x.shape)}; for one input use x[None]"
        )
    return x


def check_threats(threat: object) -> list[Threat]:
    """The threats as a list; None means ``Lp(2)``.

    Raises:
        UserError: something that is no threat.
    """
    if threat is None:
        return [Lp(2)]
    threats = (
        list(threat) if isinstance(threat, Sequence) and not isinstance(threat, str) else [threat]
    )
    wrong = [item for item in threats if not isinstance(item, Threat)]
    if wrong:
        raise UserError(
            f"a threat is an object such as fc.Lp(2), fc.L0() or fc.Patch(5), got {wrong[0]!r}"
        )
    return [item for item in threats if isinstance(item, Threat)]


def check_domain(domain: object) -> Domain:
    """The domain; None means everywhere.

    Raises:
        UserError: not a domain.
    """
    if domain is None:
        return Unbounded()
    if not isinstance(domain, Domain):
        raise UserError(f"a domain is fc.Box(lo, hi) or fc.Unbounded(), got {domain!r}")
    return domain
