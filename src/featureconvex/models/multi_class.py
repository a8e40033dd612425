"""Several classes: one convex score for each, on features they share; the largest score names the class."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from featureconvex.errors import UserError
from featureconvex.features.base import FeatureMap
from featureconvex.given import real_array
from featureconvex.models.model import FeatureConvexModel, TwoLogits
from featureconvex.nn.constraint import constrained_parameters


class MultiClassModel(nn.Module):
    """Scores ``f_k(x) = g_k(phi(x)) + tau_k``, each ``g_k`` convex; the largest one names the class.

    A score alone proves nothing about the class, for the others may rise; certificates compare them:
    :func:`featureconvex.certify_classes`.

    Args:
        feature_map: ``phi``, with a proved Lipschitz constant.
        convex_nets: ``g_k``, one for each class, modules proved convex by
            :func:`featureconvex.nn.prove_convex`.
        tau: a threshold for each class, (classes,); None: zeros.

    Shape: (n, ...) -> (n, classes) in float64; the networks run in their own dtype.

    Raises:
        UserError: fewer than two networks, or not one finite threshold for each.
        ConvexityError: a network cannot be proved convex.

    >>> import featureconvex as fc
    >>> nets = [fc.nn.ConvexMLP(3, (4,)) for _ in range(5)]
    >>> fc.MultiClassModel(fc.features.Identity(), nets)(torch.zeros(2, 3)).shape
    torch.Size([2, 5])
    """

    def __init__(
        self,
        feature_map: FeatureMap,
        convex_nets: Sequence[nn.Module],
        tau: Any = None,
    ) -> None:
        super().__init__()
        if len(convex_nets) < 2:
            raise UserError(
                f"a model of classes needs two networks or more, got {len(convex_nets)}"
            )
        shifts = [0.0] * len(convex_nets) if tau is None else real_array("tau", tau, "numbers")
        if len(shifts) != len(convex_nets):
            raise UserError(f"{len(convex_nets)} networks need as many tau, got {len(shifts)}")
        self.feature_map = feature_map
        # The networks' own thresholds are parts of binary models, which check everything.
        self.classes = nn.ModuleList(
            FeatureConvexModel(feature_map, net, float(shift))
            for net, shift in zip(convex_nets, shifts, strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, ...) -> scores (n, classes), float64."""
        return scores_of(self.members(), x)

    def _apply(self, fn: Any, recurse: bool = True) -> "MultiClassModel":
        # As in FeatureConvexModel; the map is converted before any of its owners sees it.
        for raw, constraint in constrained_parameters(self):
            constraint.keep(raw)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def with_map(self, feature_map: FeatureMap) -> "MultiClassModel":
        """The same scores of another feature map, such as one with scalers in front."""
        nets = [part.convex_net for part in self.members()]
        return MultiClassModel(feature_map, nets, self.tau.tolist()).to(self.device)

    def margin(self, x: Tensor, sensitive: Tensor) -> Tensor:
        """(n,): the best score of a sensitive class, or of the predicted one if it is, less the best other.

        Positive where a sensitive class is predicted.

        Args:
            x: (n, ...).
            sensitive: (classes,) bool.
        """
        return margin_of(self(x), sensitive)

    def members(self) -> list[FeatureConvexModel]:
        """The score of every class as a model of its own; they share the feature map.

        Raises:
            UserError: they do not, as one was replaced.
        """
        found: list[FeatureConvexModel] = list(self.classes)  # type: ignore[arg-type]
        if any(part.feature_map is not self.feature_map for part in found):
            raise UserError(
                "the feature map of a MultiClassModel was replaced, and its scores have another one; "
                "with_map(feature_map) gives the same scores of another map"
            )
        return found

    @property
    def tau(self) -> Tensor:
        """(classes,) float64: what is added to the networks' answers."""
        return torch.stack([part.tau for part in self.members()])

    @property
    def dtype(self) -> torch.dtype:
        """The dtype the networks compute in."""
        return self.members()[0].dtype

    @property
    def device(self) -> torch.device:
        """Where the networks live."""
        return self.members()[0].device


class Lead(nn.Module):
    """One class's score less another's: positive as long as the other does not overtake it.

    Not convex, so it is attacked and not certified.

    Args:
        own, other: of the two classes, as :meth:`MultiClassModel.members` gives them.
        largest: about how large scores are in absolute value, which rounding is relative to.

    Shape: (n, ...) -> (n,) float64.
    """

    tau: Tensor

    def __init__(self, own: FeatureConvexModel, other: FeatureConvexModel, largest: float) -> None:
        super().__init__()
        self.own, self.other = own, other
        self.register_buffer("tau", torch.tensor(largest, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        """(n, ...) -> (n,)."""
        own, other = scores_of([self.own, self.other], x).unbind(1)
        return own - other

    @property
    def dtype(self) -> torch.dtype:
        """The dtype the networks compute in."""
        return self.own.dtype

    def two_logits(self) -> TwoLogits:
        """As of a model of one margin."""
        return TwoLogits(self)


def scores_of(members: Sequence[FeatureConvexModel], x: Tensor) -> Tensor:
    """(n, classes) float64: the answers of models that share their feature map, computed once."""
    u = members[0].feature_map(x)
    return torch.stack([part.of_features(u).double() + part.tau for part in members], dim=1)


def lead_of(scores: Tensor, own: Tensor) -> Tensor:
    """(n,): the score of class ``own`` (n,) less the best of the others."""
    own = own[:, None]
    return scores.gather(1, own).squeeze(1) - scores.scatter(1, own, -torch.inf).amax(1)


def margin_of(scores: Tensor, sensitive: Tensor) -> Tensor:
    """As :meth:`MultiClassModel.margin`, of scores (n, classes)."""
    allowed = sensitive.to(scores.device)
    predicted = scores.argmax(1)
    ours = scores.masked_fill(~allowed, -torch.inf).argmax(1)
    return lead_of(scores, torch.where(allowed[predicted], predicted, ours))
