"""How far the deployed forward pass can be from exact arithmetic, over a whole neighbourhood.

DEPLOYED: what is assumed of ``model(x)`` in float32 or float64.

* The input is rounded to the model's dtype, to nearest.
* Linear layers and convolutions are sums of products in any order, with or without fused
  multiply-add: torch's matrix products, and its direct and unfolding convolutions. Not covered, and
  refused where it can be seen: autocast, TF32 or bfloat16 products, and the Winograd and Fourier
  convolutions of cuDNN and NNPACK.
* Eval-mode batch norm is ``s x + (bias - mean s)`` or ``s (x - mean) + bias`` with at most 16 roundings
  on any path.
* exp, expm1, log, log1p, logaddexp and the modulus of a complex number are right to 8 units of roundoff.
* A Fourier transform of N points is right to ``8 log2(2 N)`` units of roundoff in the Euclidean norm.
  Radix 2 with accurate weights is right to ``6.7 log2 N`` (Higham, section 24.1); libraries do better.
* Results below the smallest normal number may be flushed to zero.
* The threshold is added in float64, which never changes the sign of the sum.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from featureconvex.ambient import check_float32_products
from featureconvex.certificates.levels.sound.chain_error import chain_errors
from featureconvex.errors import UserError
from featureconvex.rounding.ball import Ball
from featureconvex.rounding.directed import Rounding, upper
from featureconvex.rounding.graph import Graph
from featureconvex.rounding.steps import Mode


def check_deployment(convolves: bool, device: torch.device, arithmetic: Rounding) -> None:
    """Refuse settings under which the deployed forward pass rounds in a way not covered.

    Raises:
        UserError: reduced-precision matrix products are allowed, or convolutions run on a GPU or
            through NNPACK.
    """
    if arithmetic.name != "float32":
        return
    check_float32_products(device)
    if convolves:
        if device.type != "cpu":
            raise UserError(
                "float32 convolutions on a GPU have no proved error bound; move the model to the CPU, "
                "or use arithmetic='real'"
            )
        if not torch._C._get_mkldnn_enabled() or not torch._C._has_mkldnn:
            raise UserError(
                "without oneDNN, torch may convolve through NNPACK, whose fast algorithms have no proved "
                "error bound; use a double-precision model, or arithmetic='real'"
            )


@dataclass(frozen=True)
class DeployedError:
    """At most how far the computed number is from the exact one, at every real x' with
    ``max |x' - x| <= reach``: each of several bounds holds.

    Attributes:
        here: (n,) the error at x. At x' it is at most ``here`` and what ``growth`` says.
        growth: (1, ...) weights >= 0 in the shape of x: ``<growth, |x' - x|>`` more, or for feature maps
            that mix coordinates as :meth:`.Graph.felt` says.
        by_norms: pairs ``(at, rate)``, (n,) each: at most ``at + rate ||x' - x||_2``. One for every norm in
            which the error of the feature map as a whole is known (:mod:`.chain_error`): for learned
            maps, whose errors entry by entry are bounded far too high.
        reach: beyond it the forward pass might overflow.
    """

    here: Tensor
    growth: Tensor
    by_norms: tuple[tuple[Tensor, Tensor], ...]
    reach: float

    def plus(self, other: "DeployedError") -> "DeployedError":
        """Of the difference of two numbers that are computed after the same feature map."""
        pairs = zip(self.by_norms, other.by_norms, strict=True)
        return DeployedError(
            upper(self.here + other.here, 1),
            upper(self.growth + other.growth, 1),
            tuple((upper(a + b, 1), upper(s + t, 1)) for (a, s), (b, t) in pairs),
            min(self.reach, other.reach),
        )

    def rows(self, index: Tensor) -> "DeployedError":
        """Of some of the inputs."""
        pairs = tuple((at[index], rate[index]) for at, rate in self.by_norms)
        return DeployedError(self.here[index], self.growth, pairs, self.reach)


def deployed_errors(
    features: Graph, networks: Sequence[Graph], x: Tensor, arithmetic: Rounding
) -> list[DeployedError]:
    """Of every network after the same feature map, at inputs ``x`` (n, ...) float64."""
    mode = Mode(arithmetic, relaxed=False)
    phi, chain = chain_errors(features, x, arithmetic) if features.between_norms else (None, [])
    computed = _computed(features, x, mode)
    found = []
    for network in networks:
        by_norms: list[tuple[Tensor, Tensor]] = []
        if phi is not None and chain:
            out, _ = network.forward(phi, mode)
            growing = _growing(network, phi.centre[:1], mode)
            felt = [error.felt(growing) for error in chain]
            # ||x' - x||_s <= ||x' - x||_2 for both norms.
            by_norms = [(upper(out.radius + at, 1), per.expand_as(at)) for at, per in felt]
        found.append(
            DeployedError(
                network.forward(computed, mode)[0].radius,
                error_growth(features, network, x, arithmetic),
                tuple(by_norms),
                reach(features, network, x, arithmetic),
            )
        )
    return found


def error_here(features: Graph, network: Graph, x: Tensor, arithmetic: Rounding) -> Tensor:
    """(n,): at most ``|fl(g(phi(x))) - g(phi(x))|``; ``x`` (n, ...) float64 need not be representable."""
    mode = Mode(arithmetic, relaxed=False)
    return network.forward(_computed(features, x, mode), mode)[0].radius


def _computed(features: Graph, x: Tensor, mode: Mode) -> Ball:
    """The features of inputs that are rounded first."""
    unit, least = mode.arithmetic.unit, mode.arithmetic.underflow
    return features.forward(Ball(x, upper(unit * x.abs() + least, 2)), mode)[0]


def _growing(network: Graph, phi: Tensor, mode: Mode) -> Ball:
    """Weights of the network's error bound at its input, of one row; ``phi`` only lends its shape."""
    out, trace = network.forward(Ball.exact(torch.zeros_like(phi)), mode)
    one = torch.ones_like(out.centre)
    return network.growth(Ball(one, torch.zeros_like(one)), trace.shapes, mode.arithmetic)


def error_growth(features: Graph, network: Graph, x: Tensor, arithmetic: Rounding) -> Tensor:
    """(1, ...) ``w >= 0``: the error at ``x'`` is at most the error at ``x`` plus ``<w, |x' - x|>``; for
    feature maps that mix coordinates, as :meth:`.Graph.felt` says.

    Independent of ``x``, whose first row only lends its shape.
    """
    mode = Mode(arithmetic, relaxed=False)
    phi, inner = features.forward(Ball.exact(torch.zeros_like(x[:1])), mode)
    g = features.growth(_growing(network, phi.centre, mode), inner.shapes, arithmetic)
    return upper(g.radius + arithmetic.unit * g.centre * (1 + arithmetic.unit), 4)


def reach(features: Graph, network: Graph, x: Tensor, arithmetic: Rounding) -> float:
    """A distance per coordinate up to which no row of ``x`` moves into an overflow; 0: none found.

    Every node is enclosed in an interval around 0, so partial sums are bounded too.
    """
    bound = float(x.abs().nan_to_num(0.0, 0.0, 0.0).max()) if x.numel() else 0.0
    for exponent in (40, 20, 10, 0, -20):
        distance = 2.0**exponent
        box = torch.full_like(x[:1], bound + distance)
        phi, low = features.largest(box, arithmetic)
        _, high = network.largest(phi, arithmetic)
        if max(low, high) <= arithmetic.largest:
            return distance
    return 0.0
