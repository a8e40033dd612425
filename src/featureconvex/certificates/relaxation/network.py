"""The relaxed network: affine in its input, below the network, and free in its slopes.

In ``z_(l+1) = s(A_l z_l + C_l u + b_l)`` with ``A_l >= 0``, replacing every ``s`` by one of its affine
minorants of nonnegative slope gives an affine function of ``u`` below ``g``: each layer's error can only
push the output down. The network's own ``forward`` does the evaluation; forward hooks put the lines in
place of the nonlinear modules, call by call, so any wiring of the modules will do. (Should a container
compute something convex of its own besides, the result is still a convex function below ``g``, and its
tangent at ``u`` is what is returned.)
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from featureconvex.certificates.minorant import Minorant
from featureconvex.certificates.relaxation.pieces import Piece, piece_of, refuse
from featureconvex.model import FeatureConvexModel
from featureconvex.nn.convexity import curvature

Replace = Callable[[int, nn.Module, Piece, Tensor], Tensor]


class Relaxation:
    """The affine minorants of a model's convex network.

    A minorant is named by its *choices*: one tensor per call of a nonlinear module, in the order of
    evaluation, rows first. For an activation they are slopes in the shape of its output; for a max-pool
    (n, c, h, w, k k) and for :class:`~featureconvex.nn.MaxAffine` (n, pieces) weights that sum to 1.

    Args:
        model: in eval mode, proved convex.

    Raises:
        UserError: a nonlinear module has no rule in :mod:`.pieces`.
    """

    def __init__(self, model: FeatureConvexModel) -> None:
        self.model = model
        self.parts = dict(_nonlinear(model.convex_net))

    @torch.no_grad()
    def tangent_choices(self, u: Tensor) -> list[Tensor]:
        """The choices that make the minorant the tangent at ``u`` (n, ...)."""
        choices: list[Tensor] = []

        def record(_: int, module: nn.Module, rule: Piece, z: Tensor) -> Tensor:
            choices.append(rule.tangent(module, z))
            return rule.line(module, z, choices[-1])

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

        def replace(call: int, module: nn.Module, rule: Piece, z: Tensor) -> Tensor:
            return rule.line(module, z, rule.restrict(module, choices[call]))

        with torch.enable_grad(), self._replacing(replace):
            u = u.detach().requires_grad_()
            out = self.model.convex_net(u)
            (slope,) = torch.autograd.grad(out.sum(), u, create_graph=differentiable)
        if not differentiable:
            out = out.detach()
        return Minorant(out.double() + self.model.tau, slope)

    def mixed_choices(self, points: Tensor, weights: Tensor) -> list[Tensor]:
        """Choices at least as good as a mixture of tangents.

        With ``gamma_j`` the derivative of the output in a call's output at point j, the slopes
        ``sum_j w_j gamma_j choice_j / sum_j w_j gamma_j`` give a minorant that is nowhere below
        ``sum_j w_j tangent_j`` (for ReLU networks and maxima: equal to it). The products
        ``w_j gamma_j choice_j`` are the dual variables in which the problem is concave.

        Args:
            points: (n, k, ...) in the shape of ``phi(x)``; the first decides where nothing else does.
            weights: (n, k) float64, >= 0, summing to 1.
        """
        total: list[Tensor] = []
        share: list[Tensor] = []
        first: list[Tensor] = []
        for k in range(points.shape[1]):
            choices, gammas = self._tangent_with_sensitivities(points[:, k])
            if k == 0:
                first = choices
                total = [torch.zeros_like(choice, dtype=torch.float64) for choice in choices]
                share = [torch.zeros_like(choice, dtype=torch.float64) for choice in choices]
            for call, (choice, gamma) in enumerate(zip(choices, gammas, strict=True)):
                weight = weights[:, k].view(-1, *[1] * (gamma.ndim - 1)) * gamma.double()
                if choice.ndim > gamma.ndim:
                    weight = weight.unsqueeze(-1)
                total[call] += weight * choice
                share[call] += weight
        return [
            torch.where(below > 0, above / below, other.double()).to(other.dtype)
            for above, below, other in zip(total, share, first, strict=True)
        ]

    def _tangent_with_sensitivities(self, u: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """The tangent's choices at ``u``, and the output's derivative in each call's output."""
        choices: list[Tensor] = []
        outputs: list[Tensor] = []

        def record(_: int, module: nn.Module, rule: Piece, z: Tensor) -> Tensor:
            with torch.no_grad():
                choices.append(rule.tangent(module, z))
            outputs.append(rule.line(module, z, choices[-1]))
            return outputs[-1]

        with torch.enable_grad(), self._replacing(record):
            out = self.model.convex_net(u.detach().requires_grad_())
            gammas = torch.autograd.grad(out.sum(), outputs) if outputs else ()
        return choices, list(gammas)

    @contextmanager
    def _replacing(self, replace: Replace) -> Iterator[None]:
        """Every call of a nonlinear module answers with ``replace(call, module, rule, z)``."""
        calls = iter(range(2**31))

        def hook(module: nn.Module, inputs: tuple[Tensor, ...], _: Tensor) -> Tensor:
            return replace(next(calls), module, self.parts[module], inputs[0])

        handles = [part.register_forward_hook(hook) for part in self.parts]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def _nonlinear(module: nn.Module) -> Iterator[tuple[nn.Module, Piece]]:
    """Every nonlinear module below ``module`` with its rule."""
    rule = piece_of(module)
    if rule is not None:
        if rule.nonlinear(module):
            yield module, rule
        return
    container = isinstance(module, nn.ModuleList | nn.ModuleDict)
    if not container and curvature(module).affine:
        return
    children = list(module.children())
    if not children and not container:
        raise refuse(module)
    for child in children:
        yield from _nonlinear(child)
