"""A processor that adds up in another order, simulated: every sum of products is permuted.

Vector width, blocking and the number of threads decide the order in which a matrix product or a
convolution is summed, and with it the last bits. ``OtherOrder`` permutes the terms of every product, by
another permutation for another shape, so that a batch and its rows one by one round differently even on
a processor where they usually do not. A test that fails under it has a verdict that depends on the
processor.

``SUM_ORDER=<seed> pytest ...`` runs every test under it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten


class OtherOrder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Matrix products, convolutions and sums with their terms in another order.

    Args:
        seed: of the permutations; the same for the same shapes.
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seed = seed

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        rule = _RULES.get(func)
        if rule is not None and all(
            arg.is_floating_point() for arg in args if isinstance(arg, Tensor)
        ):
            args = rule(self, args)
        return func(*args, **(kwargs or {}))

    def order(self, terms: int, shape: torch.Size) -> Tensor:
        """A permutation of the terms of a sum in a product of this shape, without torch's generator."""
        generator = torch.Generator().manual_seed(hash((self.seed, terms, tuple(shape))) % 2**31)
        return torch.randperm(terms, generator=generator)


class OneByOne(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Matrix products with one term added after the other, each sum rounded to the tensor's dtype.

    The longest chain of roundings that any processor may take, for products of matrices.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func not in (aten.mm.default, aten.addmm.default):
            return func(*args, **(kwargs or {}))
        *first, a, b = args
        terms = (a.unsqueeze(-1) * b).numpy()
        # numpy accumulates along an axis one by one, in the array's own dtype.
        total = torch.from_numpy(np.add.accumulate(terms, axis=-2)[..., -1, :].copy())
        return total if not first else total + first[0]


def _product(mode: OtherOrder, args: tuple[Any, ...]) -> tuple[Any, ...]:
    *first, a, b = args
    order = mode.order(a.shape[-1], a.shape)
    return (*first, a[..., order], b.index_select(-2 if b.ndim > 1 else -1, order))


def _convolution(mode: OtherOrder, args: tuple[Any, ...]) -> tuple[Any, ...]:
    x, weight, *rest = args
    groups = rest[-1]
    if groups != 1:
        return args
    order = mode.order(weight.shape[1], x.shape)
    return (x[:, order], weight[:, order], *rest)


def _sum(mode: OtherOrder, args: tuple[Any, ...]) -> tuple[Any, ...]:
    x, dims, *rest = args
    for dim in dims if dims else range(x.ndim):
        if x.ndim:
            x = x.index_select(dim, mode.order(x.shape[dim], x.shape))
    return (x, dims, *rest)


def _norm(mode: OtherOrder, args: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(args) < 3 or args[2] is None:
        return args
    x, power, dims, *rest = args
    x, dims = _sum(mode, (x, dims))
    return (x, power, dims, *rest)


_RULES: dict[Any, Callable[[OtherOrder, tuple[Any, ...]], tuple[Any, ...]]] = {
    aten.mm.default: _product,
    aten.addmm.default: _product,
    aten.bmm.default: _product,
    aten.baddbmm.default: _product,
    aten.mv.default: _product,
    aten.dot.default: _product,
    aten.convolution.default: _convolution,
    aten.sum.dim_IntList: _sum,
    aten.mean.dim: _sum,
    aten.linalg_vector_norm.default: _norm,
}
