"""A network as a list of steps, and the three passes over it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from featureconvex.errors import UserError
from featureconvex.norms import best_path
from featureconvex.rounding.ball import Ball, plus
from featureconvex.rounding.directed import FLOAT64, Rounding, dual_norm_up, euclidean_up, upper
from featureconvex.rounding.directions import Directions
from featureconvex.rounding.operators import Diagonal
from featureconvex.rounding.steps import Affine, Mode, Reshape, Step, Translation, sum_growth


@dataclass(frozen=True)
class Trace:
    """What a forward pass leaves for the passes back: shapes of all nodes, and the choices taken."""

    shapes: list[torch.Size]
    choices: dict[int, Tensor]


@dataclass
class Graph:
    """Nodes in the order of evaluation; node 0 is the input, the last one the output.

    A node is a step applied to an earlier node, or the sum of two earlier nodes.

    Attributes:
        dtype: of the forward pass described; feature maps round their constants to it.
    """

    dtype: torch.dtype
    nodes: list[tuple[Step | None, tuple[int, ...]]] = field(default_factory=lambda: [(None, ())])
    _between: dict[Any, dict[float, float]] = field(default_factory=dict, compare=False, repr=False)

    def apply(self, step: Step, node: int) -> int:
        """Append ``step(node)``; returns the new node."""
        self._between.clear()
        self.nodes.append((step, (node,)))
        return len(self.nodes) - 1

    def add(self, a: int, b: int) -> int:
        """Append ``a + b``."""
        self.nodes.append((None, (a, b)))
        return len(self.nodes) - 1

    @property
    def mixes(self) -> bool:
        """Whether some step mixes all coordinates."""
        return any(step is not None and step.mixes for step, _ in self.nodes)

    def nonlinear(self, trace: Trace) -> list[Tensor]:
        """The choices in the order of evaluation, as :meth:`forward` takes them."""
        return [trace.choices[k] for k in sorted(trace.choices)]

    def forward(
        self, x: Ball, mode: Mode, choices: Sequence[Tensor] | None = None
    ) -> tuple[Ball, Trace]:
        """Enclose the output at ``x``.

        Args:
            x: the input.
            mode: arithmetic, and whether nonlinear steps become affine minorants.
            choices: the minorants to take, in the order of evaluation; None: tangents at ``x``.

        Returns:
            The output, and the trace.
        """
        last = self._last_uses()
        values: dict[int, Ball] = {0: x}
        shapes, taken = [x.centre.shape], {}
        given = None if choices is None else iter(choices)
        for k, (step, parents) in enumerate(self.nodes[1:], start=1):
            if step is None:
                values[k] = plus(values[parents[0]], values[parents[1]], mode.arithmetic)
            else:
                wanted = next(given) if given is not None and step.chooses else None
                values[k], choice = step.forward(values[parents[0]], mode, wanted)
                if choice is not None:
                    taken[k] = choice
            shapes.append(values[k].centre.shape)
            for node in {node for node in parents if last[node] == k}:
                del values[node]
        return values[len(self.nodes) - 1], Trace(shapes, taken)

    def backward(self, g: Ball, trace: Trace) -> Ball:
        """The slope of the affine minorant of a relaxed forward pass; ``g`` is its output's weight."""
        pending = {len(self.nodes) - 1: g}
        for k in range(len(self.nodes) - 1, 0, -1):
            step, parents = self.nodes[k]
            here = pending.pop(k)
            for node in parents:
                back = (
                    here
                    if step is None
                    else step.backward(here, trace.shapes[node], trace.choices.get(k))
                )
                _accumulate(pending, node, back)
        return pending[0]

    def directions(self, out: Directions, shapes: Sequence[torch.Size]) -> Directions:
        """Of the input, from those of the output; ``shapes`` of all nodes for one row.

        Raises:
            UserError: a step that is not known to be monotone.
        """
        pending = {len(self.nodes) - 1: out}
        for k in range(len(self.nodes) - 1, 0, -1):
            step, parents = self.nodes[k]
            here = pending.pop(k)
            for node in parents:
                back = here if step is None else step.directions(here, shapes[node])
                pending[node] = pending[node].either(back) if node in pending else back
        return pending[0]

    def growth(self, g: Ball, shapes: Sequence[torch.Size], arithmetic: Rounding) -> Ball:
        """Weights of the error bound at the input; see :mod:`.steps`."""
        pending = {len(self.nodes) - 1: g}
        for k in range(len(self.nodes) - 1, 0, -1):
            step, parents = self.nodes[k]
            here = pending.pop(k)
            for node in parents:
                back = (
                    sum_growth(here, arithmetic)
                    if step is None
                    else step.growth(here, _of(here.centre, shapes[node]), arithmetic)
                )
                _accumulate(pending, node, back, nonnegative=True)
        return pending[0]

    def pull(self, p: Tensor, shapes: Sequence[torch.Size]) -> Tensor:
        """``p'`` with ``<p, |change of the output|> <= <p', |change of the input|>`` in exact arithmetic.

        For chains of steps, as feature maps are. With a step that mixes: ``<= max(p') ||change||_2``.
        """
        for k in range(len(self.nodes) - 1, 0, -1):
            step, parents = self.nodes[k]
            if step is None or parents != (k - 1,):
                raise UserError("a feature map's steps must form a chain")
            p = step.pull(p, _of(p, shapes[k - 1]))
        return p

    def rates(
        self, p: Tensor, shapes: Sequence[torch.Size], exponent: float
    ) -> tuple[Tensor, Tensor | None]:
        """``(rate, factor)`` with ``<p, |change of the output|> <= <rate, |change of the input|>``, in
        exact arithmetic, if ``factor`` is None, else ``<= factor ||rate * change of the input||_exponent``.

        The last step that mixes coordinates turns ``p`` into a number by Hoelder's inequality.

        Raises:
            UserError: in front of such a step stands one of another kind that mixes, too.
        """
        factor: Tensor | None = None
        for k in range(len(self.nodes) - 1, 0, -1):
            step, parents = self.nodes[k]
            if step is None or parents != (k - 1,):
                raise UserError("a feature map's steps must form a chain")
            if not step.mixes:
                if factor is not None and not step.coordinatewise:
                    raise UserError(
                        "level 'sound' has no rule for this order of feature maps; put the scattering "
                        "transform in front of maps that mix coordinates, or use another level"
                    )
                p = step.pull(p, _of(p, shapes[k - 1]))
                continue
            # For diagonal maps ||rate * d||_p <= max(rate) ||d||_p.
            held = dual_norm_up(p, exponent) if factor is None else factor * p.flatten(1).amax(1)
            factor = upper(held * step.lipschitz(exponent), 2, held > 0)
            p = torch.ones((1, *shapes[k - 1][1:]), dtype=torch.float64, device=p.device)
        return p, factor

    def felt(self, weights: Tensor) -> Tensor:
        """(n,): what weights of :meth:`growth` say is at most this times ``||change of the input||_2``.

        Between the input and the first step that mixes weights stand for ``max(w) ||change||_2`` as long as
        every step passes a coordinate on to few others; after other steps they stand for
        ``<w, |change|>``, which also holds, and is at most ``||w||_2 ||change||_2``.
        """
        step: Step | None = None
        for step, _ in self.nodes[1:]:
            if step is None or step.mixes or not (step.coordinatewise or step.keeps_lengths):
                break
        euclidean = step is not None and step.mixes
        return weights.flatten(1).amax(1) if euclidean else euclidean_up(weights.flatten(1))

    @property
    def convolves(self) -> bool:
        """Whether a forward pass runs torch's convolutions."""
        return any(step is not None and step.convolves for step, _ in self.nodes)

    @property
    def between_norms(self) -> bool:
        """Whether only constants between norms bound the map."""
        return any(step is not None and step.between_norms for step, _ in self.nodes)

    def constants(self, p: float, cost: Tensor | None, shape: torch.Size) -> dict[float, float]:
        """At least the constant from the costed l_p norm to every norm, in exact arithmetic.

        For chains of steps. Diagonal steps in front only change the cost.

        Args:
            p: exponent of the budget.
            cost: broadcastable to one input, or None.
            shape: of a batch of inputs.
        """
        # Asked for by every pair of classes and every budget that a search tries.
        costs = None if cost is None else (tuple(cost.shape), cost.cpu().numpy().tobytes())
        asked = (p, costs, tuple(shape[1:]))
        if asked not in self._between:
            self._between[asked] = self._constants(p, cost, shape)
        return dict(self._between[asked])

    def _constants(self, p: float, cost: Tensor | None, shape: torch.Size) -> dict[float, float]:
        steps = [step for step, _ in self.nodes[1:] if step is not None]
        while cost is not None and len(steps) > 1 and steps[0].coordinatewise:
            front = steps[0]
            if isinstance(front, Affine) and isinstance(front.operator, Diagonal):
                # Broadcastable to a batch; one number per coordinate of one input.
                scale = front.operator.coefficient.abs().expand(1, *shape[1:])[0]
                cheaper = torch.nextafter(cost / scale, torch.zeros_like(cost / scale))
                fixed = torch.isinf(cost) | (scale == 0)
                most = torch.finfo(torch.float64).max
                cost = cheaper.clamp(max=most).masked_fill(fixed, math.inf)
            elif not isinstance(front, Translation):
                break
            steps = steps[1:]
        if cost is not None and len(steps) > 1 and isinstance(steps[0], Reshape):
            cost = cost.expand(shape[1:]).reshape(-1)
            steps = steps[1:]
        found: list[Callable[[float, float], float]] = [step.constant for step in steps]
        if cost is not None:
            found[0] = partial(steps[0].constant_per_cost, cost)
        return best_path(found, p)

    def largest(self, bound: Tensor, arithmetic: Rounding) -> tuple[Tensor, float]:
        """Bounds on the output, and on everything summed on the way, for inputs with ``|x| <= bound``."""
        mode = Mode(arithmetic, relaxed=False)
        values, most = [bound], 0.0
        for step, parents in self.nodes[1:]:
            balls = [Ball(torch.zeros_like(values[k]), values[k]) for k in parents]
            ball = (
                plus(balls[0], balls[1], arithmetic)
                if step is None
                else step.forward(balls[0], mode, None)[0]
            )
            values.append(upper(ball.centre.abs() + ball.radius, 2))
            amplification = 1.0 if step is None else step.amplification
            most = max(most, amplification * max(float(values[k].max()) for k in parents))
        return values[-1], max(most, *(float(value.max()) for value in values))

    def _last_uses(self) -> dict[int, int]:
        last = {}
        for k, (_, parents) in enumerate(self.nodes):
            last.update(dict.fromkeys(parents, k))
        last.pop(len(self.nodes) - 1, None)
        return last


def _of(weights: Tensor, shape: torch.Size) -> torch.Size:
    """The shape with as many rows as there are weights: of one row, or of all."""
    return torch.Size((len(weights), *shape[1:]))


def _accumulate(pending: dict[int, Ball], node: int, back: Ball, nonnegative: bool = False) -> None:
    if node not in pending:
        pending[node] = back
    elif nonnegative:
        centre, radius = pending[node].centre + back.centre, pending[node].radius + back.radius
        pending[node] = Ball(upper(centre, 1, centre > 0), upper(radius, 1, radius > 0))
    else:
        pending[node] = plus(pending[node], back, FLOAT64)
