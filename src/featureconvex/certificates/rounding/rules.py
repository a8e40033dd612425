"""Which steps a feature map consists of, one small rule per class; for networks, see their cards."""

from collections.abc import Callable
from typing import Any

from torch import nn

from featureconvex.errors import UserError
from featureconvex.nn.card import has_card, name_of, rounding_steps
from featureconvex.rounding.graph import Graph

Rule = Callable[[Any, Graph, int], int]
_RULES: dict[type[nn.Module], Rule] = {}


def rule(*kinds: type[nn.Module]) -> Callable[[Rule], Rule]:
    """Register the steps of feature maps of exactly these classes."""

    def register(function: Rule) -> Rule:
        _RULES.update(dict.fromkeys(kinds, function))
        return function

    return register


def trace(module: nn.Module, graph: Graph, node: int) -> int:
    """Append the steps of ``module`` behind ``node``; returns the node of its output."""
    if has_card(module):
        return rounding_steps(module, graph, node)
    if type(module) not in _RULES:
        raise UserError(
            f"level 'sound' has no rounding rule for {name_of(module)}; register its steps with "
            "featureconvex.certificates.rounding.rule, or use another level"
        )
    return _RULES[type(module)](module, graph, node)
