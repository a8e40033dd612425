"""Affine minorants of single modules: one small rule per class, under the bound it rests on.

A *choice* is a tensor that names one minorant of a module for every row (and unit) of a batch; choices
are the dual variables of level ``tight``. A module without a rule is refused by name; :func:`piece`
registers one::

    @piece(MyActivation)
    class _(Piece): ...

A rule covers the exact class, not its subclasses: a subclass may override ``forward``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from featureconvex.errors import UserError
from featureconvex.nn.activations import Softplus
from featureconvex.nn.curves import Curve, curve_of
from featureconvex.nn.max_affine import MaxAffine


class Piece(ABC):
    """The affine minorants of a convex, nondecreasing module (the first of a network: convex).

    Choices have the shape of the module's output, or one more dimension behind it that holds the
    weights of a convex combination. Mixing lines mixes choices: for weights ``w_j >= 0`` the line of
    ``sum w_j choice_j / sum w_j`` is at least ``sum w_j line_j / sum w_j``.
    """

    def nonlinear(self, module: nn.Module) -> bool:
        """Whether this module needs a choice; an affine special case does not."""
        return True

    @abstractmethod
    def tangent(self, module: nn.Module, z: Tensor) -> Tensor:
        """The choice whose line touches at ``z``."""

    @abstractmethod
    def restrict(self, module: nn.Module, choice: Tensor) -> Tensor:
        """The nearest choice that is a minorant; differentiable."""

    @abstractmethod
    def line(self, module: nn.Module, z: Tensor, choice: Tensor) -> Tensor:
        """The affine function at ``z``: never above the module, for every valid choice."""


_PIECES: dict[type[nn.Module], Piece] = {}


def piece(*kinds: type[nn.Module]) -> Callable[[type[Piece]], type[Piece]]:
    """Register the minorants of modules of exactly these classes."""

    def register(rule: type[Piece]) -> type[Piece]:
        _PIECES.update(dict.fromkeys(kinds, rule()))
        return rule

    return register


def piece_of(module: nn.Module) -> Piece | None:
    """The rule for a module's class, if there is one."""
    return _PIECES.get(parametrize.type_before_parametrizations(module))


def refuse(module: nn.Module) -> UserError:
    """The error for a module without a rule."""
    kind = parametrize.type_before_parametrizations(module)
    return UserError(
        f"no affine minorants are known for {kind.__module__}.{kind.__qualname__}; register them "
        "with featureconvex.certificates.relaxation.piece, or use level 'domain'"
    )


@piece(nn.ReLU, nn.LeakyReLU, nn.ELU, nn.CELU, Softplus)
class Elementwise(Piece):
    """``s(z) >= a z - s*(a)`` (Fenchel's inequality): choices are the slopes ``a``, elementwise.

    ReLU: ``a`` in [0, 1] and ``s* = 0``; leaky ReLU of slope s: ``a`` in [s, 1]; for ELU, CELU and
    softplus a slope names the tangent of that slope.
    """

    def tangent(self, module: nn.Module, z: Tensor) -> Tensor:
        """The derivative."""
        return _curve(module).slope(z).to(z.dtype)

    def restrict(self, module: nn.Module, choice: Tensor) -> Tensor:
        """Into the slopes the curve takes."""
        return _curve(module).clamp(choice).to(choice.dtype)

    def line(self, module: nn.Module, z: Tensor, choice: Tensor) -> Tensor:
        """``a z - s*(a)``."""
        curve = _curve(module)
        if curve.kinks_at_zero:
            return choice * z
        # In float64: its terms nearly cancel.
        return choice * z + curve.intercept(choice.double()).centre.to(z.dtype)


def _curve(module: nn.Module) -> Curve:
    curve = curve_of(module)
    if curve is None:
        raise refuse(module)
    return curve


@piece(nn.MaxPool2d)
class WindowMaximum(Piece):
    """A maximum is at least any convex combination: choices are weights (n, c, h, w, k k) per window."""

    def nonlinear(self, module: nn.Module) -> bool:
        """A window of one pixel selects it."""
        return _pair(module.kernel_size) != (1, 1)

    def tangent(self, module: nn.Module, z: Tensor) -> Tensor:
        """All weight on the largest pixel."""
        windows = _windows(module, z).masked_fill(_outside(module, z), -torch.inf)
        return F.one_hot(windows.argmax(-1), windows.shape[-1]).to(z.dtype)

    def restrict(self, module: nn.Module, choice: Tensor) -> Tensor:
        """Nonnegative, summing to 1."""
        return _distribution(choice)

    def line(self, module: nn.Module, z: Tensor, choice: Tensor) -> Tensor:
        """The weighted sum of each window; padding takes no part."""
        inside = choice.masked_fill(_outside(module, z), 0.0)
        return (_windows(module, z) * _distribution(inside)).sum(-1)


@piece(MaxAffine)
class PieceMaximum(Piece):
    """``max_k l_k >= sum_k w_k l_k``: choices are weights (n, pieces)."""

    def tangent(self, module: nn.Module, z: Tensor) -> Tensor:
        """All weight on the largest piece."""
        values = _affine_pieces(module, z)
        return F.one_hot(values.argmax(1), values.shape[1]).to(z.dtype)

    def restrict(self, module: nn.Module, choice: Tensor) -> Tensor:
        """Nonnegative, summing to 1."""
        return _distribution(choice)

    def line(self, module: nn.Module, z: Tensor, choice: Tensor) -> Tensor:
        """``sum_k w_k l_k``."""
        return (_affine_pieces(module, z) * choice).sum(1)


def _affine_pieces(module: nn.Module, z: Tensor) -> Tensor:
    assert isinstance(module, MaxAffine)
    values: Tensor = module.affine(z.flatten(1))
    return values


def _distribution(choice: Tensor) -> Tensor:
    positive = choice.clamp_min(0)
    total = positive.sum(-1, keepdim=True)
    even = torch.full_like(positive, 1 / positive.shape[-1])
    return torch.where(total > 0, positive / total.clamp_min(torch.finfo(choice.dtype).tiny), even)


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _windows(module: nn.Module, z: Tensor) -> Tensor:
    """(n, c, h, w) -> (n, c, h', w', k k), zeros for padding."""
    if module.ceil_mode or module.return_indices:
        raise UserError(f"the relaxation knows MaxPool2d without ceil_mode only, got {module!r}")
    kernel, stride = _pair(module.kernel_size), _pair(module.stride)
    padding, dilation = _pair(module.padding), _pair(module.dilation)
    n, c, *size = z.shape
    out = [
        (size[i] + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1
        for i in range(2)
    ]
    columns = F.unfold(z, kernel, dilation, padding, stride)
    return columns.view(n, c, kernel[0] * kernel[1], *out).permute(0, 1, 3, 4, 2)


def _outside(module: nn.Module, z: Tensor) -> Tensor:
    """(1, 1, h', w', k k) bool: places of a window that are padding."""
    return _windows(module, torch.ones_like(z[:1, :1])) == 0
