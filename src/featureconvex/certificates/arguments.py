"""What a caller may hand to :func:`featureconvex.certify`, checked before any work starts."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch

from featureconvex.certificates.coordinates import NO_BLOCKS, Blocks
from featureconvex.certificates.domain import Domain, Unbounded
from featureconvex.certificates.threats import FileThreat, Lp, Threat
from featureconvex.errors import UserError
from featureconvex.given import check_plain, real_array
from featureconvex.models.model import FeatureConvexModel, described_inputs
from featureconvex.models.multi_class import MultiClassModel


def check_model(model: object) -> FeatureConvexModel:
    """The model, if it is one.

    Raises:
        UserError: not a model.
    """
    if not isinstance(model, FeatureConvexModel):
        if isinstance(model, MultiClassModel):
            raise UserError(
                "a model of several classes is certified by fc.certify_classes; fc.certify and fc.attack "
                "take models of one sensitive class"
            )
        if hasattr(model, "fit") and not hasattr(model, "model_"):
            raise UserError(f"this {type(model).__name__} is not fitted yet; call its fit first")
        raise UserError(
            f"expected a FeatureConvexModel, got {type(model).__name__}; wrap a convex network as "
            "FeatureConvexModel(feature_map, convex_net), or call an estimator's own certify"
        )
    return model


def check_inputs(x: Any, model: FeatureConvexModel) -> Any:
    """Rows of numbers with a shape and slices: a tensor, an array (memory-mapped too) or a list.

    A data frame is read by the names of its columns where ``model`` is one that a run trained.

    Raises:
        UserError: not numbers, masked cells, ragged, fewer than two dimensions, or not what a run trained
            ``model`` on.
    """
    described = described_inputs(model)
    if described is not None:
        x = described.rows(x)
    if isinstance(x, torch.Tensor):
        check_plain("x", x)
    else:
        x = real_array("x", x, "rows of real numbers, all of one length")
    if x.ndim < 2:
        raise UserError(
            f"x needs one row per input, (n, ...), got shape {tuple(x.shape)}; for one input use x[None]"
        )
    return x


def check_threats(
    threat: object,
    names: Iterable[str] | None = None,
    model: FeatureConvexModel | None = None,
) -> list[Threat]:
    """The threats as a list, with the names of columns turned into indices; None means ``Lp(2)``.

    Args:
        threat: as given.
        names, model: as for :func:`check_domain`.

    Raises:
        UserError: something that is no threat, or one with a column that is not among the names.
    """
    if threat is None:
        return [Lp(2)]
    several = isinstance(threat, Sequence) and not isinstance(threat, str | bytes)
    threats: list[object] = list(threat) if several else [threat]  # type: ignore[call-overload]
    wrong = [item for item in threats if not isinstance(item, Threat)]
    if wrong:
        raise UserError(
            f"a threat is an object such as fc.Lp(2), fc.L0() or fc.Patch(5), got {wrong[0]!r}"
        )
    listed, blocks = _names(names, NO_BLOCKS, model)
    return [item.named(listed, blocks) for item in threats if isinstance(item, Threat)]


def check_threat(
    threat: object,
    names: Iterable[str] | None = None,
    model: FeatureConvexModel | None = None,
) -> Threat:
    """One threat; None means ``Lp(2)``.

    Raises:
        UserError: as :func:`check_threats`, or several.
    """
    threats = check_threats(threat, names, model)
    if len(threats) != 1:
        raise UserError(f"an attack has one threat, got {len(threats)}; attack once for each")
    return threats[0]


def check_about_files(threats: list[Threat], model: FeatureConvexModel) -> None:
    """Refuse threats to files where a run says that rows are no counts of theirs.

    Raises:
        UserError: they are plots.
    """
    described = described_inputs(model)
    for threat in threats:
        if isinstance(threat, FileThreat) and described is not None and described.plotted:
            raise UserError(
                f"{type(threat).__name__} is about counts, and this model sees plots of files, where what "
                "it does depends on where a file ends; `featureconvex certify --threat append` looks at "
                "the files, and fc.certify_slack at their slack"
            )


def check_domain(
    domain: object,
    names: Iterable[str] | None = None,
    blocks: Blocks = NO_BLOCKS,
    model: FeatureConvexModel | None = None,
) -> Domain:
    """The domain, with the names of columns turned into indices; None means everywhere.

    Args:
        domain: as given.
        names: of the model's columns; None for those of ``model``, where a run trained it.
        blocks: names that stand for several columns.
        model: the model.

    Raises:
        UserError: not a domain, or one with a column that is not among the names.
    """
    if domain is None:
        return Unbounded()
    if not isinstance(domain, Domain):
        raise UserError(f"a domain is fc.Box(lo, hi) or fc.Unbounded(), got {domain!r}")
    return domain.named(*_names(names, blocks, model))


def _names(
    names: Iterable[str] | None, blocks: Blocks, model: FeatureConvexModel | None
) -> tuple[list[str] | None, Blocks]:
    """The names of columns and blocks as given, else those of a model that a run trained."""
    described = described_inputs(model) if model is not None else None
    if names is None and described is not None:
        names, blocks = described.names, described.blocks
    return None if names is None else [str(name) for name in names], blocks
