"""Whether a network's output follows an input upwards or downwards: the calculus of monotonicity.

A function is nondecreasing in a coordinate if every path to the output passes an even number of
negative weights, nonincreasing if an odd one, through parts that are nondecreasing themselves
(compositions and sums of nondecreasing functions are nondecreasing). Every step has a rule that turns what
is known at its output into what is known at its input: :meth:`.Step.directions`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Directions:
    """Of every entry of a node, both bool (1, ...).

    Attributes:
        up: the output may rise when the entry does.
        down: it may fall.

    An entry with neither does not matter; one with both may do anything.
    """

    up: Tensor
    down: Tensor

    @staticmethod
    def rising(like: Tensor) -> "Directions":
        """Of the output itself."""
        one = torch.ones_like(like, dtype=torch.bool)
        return Directions(one, ~one)

    @property
    def monotone(self) -> bool:
        """Whether no entry has both."""
        return not bool((self.up & self.down).any())

    def either(self, other: "Directions") -> "Directions":
        """Along two ways."""
        return Directions(self.up | other.up, self.down | other.down)

    def reshape(self, *shape: int) -> "Directions":
        """Moved."""
        return Directions(self.up.reshape(*shape), self.down.reshape(*shape))
