"""What a feature map must tell the certificates."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class FeatureMap(nn.Module, ABC):
    """A map ``phi`` with a proved Lipschitz constant for every p in [1, inf].

    Attributes:
        coordinatewise: output ``i`` (and its copies on the channel axis) depends on input ``i`` alone.
        affine: ``phi(x) = A x + b``.
    """

    coordinatewise: bool = False
    affine: bool = False

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """(n, ...) -> (n, ...)."""

    @abstractmethod
    def lipschitz(self, p: float) -> float:
        """``L`` with ``||phi(x) - phi(y)||_p <= L ||x - y||_p`` for all x, y."""
