"""The classifier: a convex network after a Lipschitz feature map, and a threshold."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from featureconvex.errors import UserError
from featureconvex.features.base import FeatureMap
from featureconvex.given import real_number
from featureconvex.nn.constraint import constrained_parameters
from featureconvex.nn.convexity import prove_convex
from featureconvex.nn.freezing.as_written import check_runs_as_written


class FeatureConvexModel(nn.Module):
    """Margins ``g(phi(x)) + tau``; positive means the sensitive class.

    Args:
        feature_map: ``phi``, with a proved Lipschitz constant.
        convex_net: ``g``, a module proved convex by :func:`featureconvex.nn.prove_convex`.
        tau: the threshold, calibrated after training.

    Shape: (n, ...) -> (n,) in float64; the network runs in its own dtype.

    Raises:
        UserError: ``feature_map`` is no :class:`~featureconvex.features.FeatureMap`, or ``tau`` no number.
        ConvexityError: ``convex_net`` cannot be proved convex.

    >>> import featureconvex as fc
    >>> model = fc.FeatureConvexModel(fc.features.Identity(), fc.nn.ConvexMLP(3, (4,)))
    >>> model(torch.zeros(2, 3)).dtype
    torch.float64
    """

    tau: Tensor

    def __init__(self, feature_map: FeatureMap, convex_net: nn.Module, tau: float = 0.0) -> None:
        super().__init__()
        self.feature_map = feature_map
        self.convex_net = convex_net
        # float64: the threshold decides ties, and a float32 one moves calibrated quantiles.
        self.register_buffer("tau", torch.tensor(real_number("tau", tau), dtype=torch.float64))

    def __setattr__(self, name: str, value: Any) -> None:
        # A part that is replaced later has to pass what the constructor asks for.
        if name == "feature_map" and not isinstance(value, FeatureMap):
            raise UserError(
                f"feature_map must be a featureconvex.features.FeatureMap, got {value!r}; "
                "subclass it to state a Lipschitz constant"
            )
        if name == "convex_net":
            prove_convex(value)
        plain = isinstance(value, Tensor) and value.is_floating_point() and not value.ndim
        if name == "tau" and not plain:
            value = torch.tensor(real_number("tau", value), dtype=torch.float64, device=self.device)
        super().__setattr__(name, value)

    def forward(self, x: Tensor) -> Tensor:
        """(n, ...) -> margins (n,), float64."""
        return self.logits(x).double() + self.tau

    def logits(self, x: Tensor) -> Tensor:
        """``g(phi(x))`` without the threshold, (n, ...) -> (n,), in the network's dtype.

        Raises:
            UserError: the network does not answer one number per row, or cannot take the dtype of ``x``.
        """
        return check_one_number_per_row(self.of_features(self.feature_map(x)), x)

    def of_features(self, u: Tensor) -> Tensor:
        """``g(u)``, features (n, ...) -> (n,), in the network's dtype.

        Raises:
            UserError: the network computes in another dtype than that of ``u`` and cannot take it.
        """
        try:
            out: Tensor = self.convex_net(u)
        except RuntimeError as error:
            if u.dtype == self.dtype:
                raise
            raise UserError(
                f"the network computes in {self.dtype} and got {u.dtype}; call the model with "
                "x.to(model.dtype), or convert the model with .float() or .double()"
            ) from error
        return out

    def two_logits(self) -> "TwoLogits":
        """The same model as a classifier of two classes, for tools that expect one."""
        return TwoLogits(self)

    def _apply(self, fn: Any, recurse: bool = True) -> "FeatureConvexModel":
        # .float() and .half() must not round the threshold, and constrained weights as they are used.
        tau = self.tau
        for raw, constraint in constrained_parameters(self):
            constraint.keep(raw)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.tau = tau.to(self.tau.device)
        return self

    def prove(self) -> None:
        """Prove the network convex, and check that the feature map is the one its constant is about.

        Raises:
            ConvexityError: no proof, or a forward hook or replaced method somewhere in the map.
        """
        prove_convex(self.convex_net)
        check_runs_as_written(self.feature_map)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype the network computes in."""
        return next((p.dtype for p in self.convex_net.parameters()), torch.float32)

    @property
    def device(self) -> torch.device:
        """Where the network lives."""
        return self.tau.device


class TwoLogits(nn.Module):
    """The margin ``f`` as two logits ``(-f / 2, f / 2)``: their softmax is that of ``f`` alone."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """(n, ...) -> (n, 2)."""
        margin = self.model(x)
        return torch.stack((-margin / 2, margin / 2), dim=1)


class InputDescription(Protocol):
    """What the inputs of a model are, where that is known: of one that a run trained."""

    @property
    def names(self) -> Sequence[str] | None:
        """One per coordinate."""

    @property
    def blocks(self) -> Mapping[str, Sequence[int]]:
        """Names that stand for several coordinates."""

    @property
    def plotted(self) -> bool:
        """Whether they are plots of files."""

    def rows(self, x: Any) -> Any:
        """``x`` with the columns of a data frame found by name; refuses another unit."""


# Beside the models: an attribute would be part of what a model computes.
_DESCRIBED: "WeakKeyDictionary[FeatureConvexModel, InputDescription]" = WeakKeyDictionary()


def describe_inputs(model: FeatureConvexModel, inputs: InputDescription) -> None:
    """Say what the inputs of ``model`` are, for as long as the object lives."""
    _DESCRIBED[model] = inputs


def described_inputs(model: FeatureConvexModel) -> InputDescription | None:
    """What was said by :func:`describe_inputs`, or None."""
    return _DESCRIBED.get(model)


def check_one_number_per_row(out: Tensor, x: Tensor) -> Tensor:
    """Return ``out`` if its shape is (n,) for ``x`` of shape (n, ...).

    Raises:
        UserError: any other shape; (n, 1) would broadcast against (n,) into a wrong answer.
    """
    if out.shape != x.shape[:1]:
        raise UserError(
            f"the convex network answers shape {tuple(out.shape)} for {len(x)} rows, expected "
            f"({len(x)},); end it with a layer of one output and nn.Flatten(0)"
        )
    return out
