"""Whether the rows of a batch see each other.

A certificate is about one row, and certificates of a batch come from the gradient of a sum, so every row
has to be computed from that row alone. Most of torch's modules guess from the number of dimensions what
the first one means: ``Conv1d`` takes the rows of a (n, d) batch for the channels of one signal.
"""

from typing import Any

import torch
from torch import Tensor, nn

from featureconvex.errors import ConvexityError
from featureconvex.nn.card import card_of, has_card
from featureconvex.nn.freezing.frozen import intercepting, is_known

# Batches in which a row is tried: how many rows, and its place among them.
_COMPANY = ((1, 0), (2, 0), (2, 1), (3, 1), (5, 4), (9, 0), (17, 8))
# Rounding may depend on the batch, by far less than what a row that is seen would change.
_ROUNDING = 2.0**-10


def prove_rows_independent(function: nn.Module, x: Tensor) -> None:
    """Prove that a frozen module computes every row of a batch from that row alone.

    Each call of a known module inside is held to the number of dimensions at which its first one is the
    batch. What a class of the user's own does besides is tried out: the answers for one row in company of
    others, at several places of several batches, and those for rows of ``x`` alone.

    Args:
        function: a frozen module, (n, ...) -> (n, ...).
        x: rows that it is used on, (n, ...), n >= 1.

    Raises:
        ConvexityError: a module that takes the batch for something else, or rows that see each other.
    """
    generator = torch.Generator().manual_seed(0)
    most = max(size for size, _ in _COMPANY)
    draws = torch.randn(1 + most, *x.shape[1:], generator=generator, dtype=torch.float64)
    row, *others = draws.to(x.device, x.dtype)
    known = all(is_known(type(part)) for part in function.modules())
    with torch.no_grad(), intercepting(_check_dimensions):
        if known:
            function(torch.stack(others[:2]))
            return
        answers = [
            function(torch.stack((*others[:at], row, *others[at + 1 : size])))[at]
            for size, at in _COMPANY
        ]
        pairs = [(answers[0], answer) for answer in answers[1:]]
        together = function(x)
        pairs += [(function(x[k : k + 1])[0], together[k]) for k in {0, len(x) // 2, len(x) - 1}]
    for alone, answer in pairs:
        apart = (answer.double() - alone.double()).abs()
        if bool((apart > _ROUNDING * (1 + alone.double().abs())).any()):
            raise ConvexityError(
                f"{type(function).__qualname__} answers differently for a row when the other rows of its "
                "batch change; a certificate needs a function of one row (batch statistics, attention over "
                "the batch and sums over dimension 0 are none)"
            )


def _check_dimensions(module: nn.Module, inputs: tuple[Any, ...]) -> None:
    """A handler of calls that lets every module run."""
    if inputs and isinstance(inputs[0], Tensor) and has_card(module):
        card_of(module).check_batch(module, inputs[0])
