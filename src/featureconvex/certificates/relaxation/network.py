"""The relaxed network: affine in its input, below the network, and free in its slopes.

In ``z_(l+1) = s(A_l z_l + C_l u + b_l)`` with ``A_l >= 0``, replacing every ``s`` by one of its affine
minorants of nonnegative slope gives an affine function of ``u`` below ``g``: each layer's error can only
push the output down. The network's own ``forward`` does the evaluation, and lines answer in place of the
nonlinear modules of the frozen network, call by call, so any wiring of the modules will do. (Should a
container compute something convex of its own besides, the result is still a convex function below
``g``, and its tangent at ``u`` is what is returned.)
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import torch
from torch import Tensor, nn

from featureconvex.certificates.minorant import Minorant
from featureconvex.errors import UserError
from featureconvex.models.frozen import frozen_model
from featureconvex.models.model import FeatureConvexModel
from featureconvex.nn.card import card_of, name_of
from featureconvex.nn.convexity import curvature
from featureconvex.nn.freezing.frozen import intercepting
from featureconvex.nn.minorants import Minorants

Replace = Callable[[int, Minorants, Tensor], Tensor]


class Relaxation:
    """The affine minorants of a model's convex network.

    A minorant is named by its *choices*: one tensor per call of a nonlinear module, in the order of
    evaluation, rows first. For an activation they are slopes in the shape of its output; for a max-pool
    (n, c, h, w, k k) and for :class:`~featureconvex.nn.MaxAffine` (n, pieces) weights that sum to 1.

    Args:
        model: a model; it is frozen first if it is not.

    Raises:
        UserError: a nonlinear module's card has no minorants.
    """

    def __init__(self, model: FeatureConvexModel) -> None:
        self.model = frozen_model(model)
        self.parts = dict(_nonlinear(self.model.convex_net))

    @torch.no_grad()
    def tangent_choices(self, u: Tensor) -> list[Tensor]:
        """The choices that make the minorant the tangent at ``u`` (n, ...)."""
        choices: list[Tensor] = []

        def record(_: int, part: Minorants, z: Tensor) -> Tensor:
            choices.append(part.tangent(z))
            return part.line(z, choices[-1])

        with self._replacing(record):
            self.model.convex_net(u)
        return choices

    def minorant(
        self, u: Tensor, choices: Sequence[Tensor], differentiable: bool = False
    ) -> Minorant:
        """The minorant of ``g + tau`` that the choices name, anchored at ``u = phi(x)`` (n, ...).

        Args:
            u: (n, ...) in the shape of ``phi(x)``.
            choices: anything near a valid choice; each is moved to the nearest one first.
            differentiable: keep the graph, so that value and slope can be differentiated in the choices.
        """

        def replace(call: int, part: Minorants, z: Tensor) -> Tensor:
            return part.line(z, part.restrict(choices[call]))

        with torch.enable_grad(), self._replacing(replace):
            u = u.detach().requires_grad_()
            out = self.model.convex_net(u)
            (slope,) = torch.autograd.grad(out.sum(), u, create_graph=differentiable)
        if not differentiable:
            out = out.detach()
        return Minorant(out.double() + self.model.tau, slope)

    def mixed_choices(self, points: Tensor, weights: Tensor) -> list[Tensor]:
        """Choices at least as good as a mixture of tangents; see :meth:`blend`.

        Args:
            points: (n, k, ...) in the shape of ``phi(x)``; the first decides where nothing else does.
            weights: (n, k) float64, >= 0, summing to 1.
        """
        total: _Products | None = None
        for k in range(points.shape[1]):
            products = self._products(points[:, k], None, weights[:, k])
            total = products if total is None else total.plus(products)
        assert total is not None
        return total.choices()

    def blend(
        self, u: Tensor, first: Sequence[Tensor], second: Sequence[Tensor], share: Tensor
    ) -> list[Tensor]:
        """Choices at least as good as ``(1 - share)`` times one minorant plus ``share`` times another.

        With ``gamma_j`` the derivative of the output in a call's output, the choices
        ``sum_j w_j gamma_j choice_j / sum_j w_j gamma_j`` give a minorant that is nowhere below
        ``sum_j w_j minorant_j`` (for ReLU networks and maxima: equal to it). The products
        ``w_j gamma_j choice_j`` are the dual variables in which the problem is concave.

        Args:
            u: (n, ...), any point; minorants are affine.
            first: choices.
            second: choices.
            share: (n,) float64 in [0, 1].
        """
        start = self._products(u, first, 1 - share)
        return start.plus(self._products(u, second, share)).choices()

    def _products(self, u: Tensor, choices: Sequence[Tensor] | None, weight: Tensor) -> "_Products":
        """Weights times sensitivities of the minorant that the choices name, or of the tangent at ``u``."""
        taken: list[Tensor] = []
        outputs: list[Tensor] = []

        def record(call: int, part: Minorants, z: Tensor) -> Tensor:
            with torch.no_grad():
                if choices is None:
                    taken.append(part.tangent(z))
                else:
                    taken.append(part.restrict(choices[call]))
            outputs.append(part.line(z, taken[-1]))
            return outputs[-1]

        with torch.enable_grad(), self._replacing(record):
            out = self.model.convex_net(u.detach().requires_grad_())
            gammas = torch.autograd.grad(out.sum(), outputs) if outputs else ()
        share = []
        for choice, gamma in zip(taken, gammas, strict=True):
            part = weight.view(-1, *[1] * (gamma.ndim - 1)) * gamma.double()
            share.append(part.unsqueeze(-1) if choice.ndim > gamma.ndim else part)
        return _Products(taken, [a * b for a, b in zip(share, taken, strict=True)], share)

    @contextmanager
    def _replacing(self, replace: Replace) -> Iterator[None]:
        """Every call of a nonlinear module answers with ``replace(call, minorants, z)``."""
        calls = count()

        def answer(module: nn.Module, inputs: tuple[Any, ...]) -> Tensor | None:
            part = self.parts.get(module)
            return None if part is None else replace(next(calls), part, inputs[0])

        with intercepting(answer):
            yield


@dataclass(frozen=True)
class _Products:
    """Dual variables of a mixture, call by call.

    Attributes:
        fallback: choices where no weight arrives.
        total: ``sum w gamma choice``.
        share: ``sum w gamma``.
    """

    fallback: list[Tensor]
    total: list[Tensor]
    share: list[Tensor]

    def plus(self, other: "_Products") -> "_Products":
        """The mixture with more terms."""
        return _Products(
            self.fallback,
            [a + b for a, b in zip(self.total, other.total, strict=True)],
            [a + b for a, b in zip(self.share, other.share, strict=True)],
        )

    def choices(self) -> list[Tensor]:
        """The mixture's own choices."""
        return [
            torch.where(below > 0, above / below, other.double()).to(other.dtype)
            for above, below, other in zip(self.total, self.share, self.fallback, strict=True)
        ]


def _nonlinear(module: nn.Module) -> Iterator[tuple[nn.Module, Minorants]]:
    """Every nonlinear module below ``module`` with its minorants."""
    if not isinstance(module, nn.ModuleList | nn.ModuleDict):
        minorants = card_of(module).minorants(module)
        if minorants is not None:
            yield module, minorants
            return
        if curvature(module).affine:
            return
        if not list(module.children()):
            raise UserError(
                f"no affine minorants are known for {name_of(module)}; give its card "
                "(featureconvex.nn.Card) the method minorants, or use level 'domain'"
            )
    for child in module.children():
        yield from _nonlinear(child)
