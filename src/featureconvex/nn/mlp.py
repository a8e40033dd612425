"""The input-convex multilayer perceptron."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from featureconvex.errors import UserError
from featureconvex.given import whole_number, whole_numbers, yes_or_no
from featureconvex.nn.activations import activation as make_activation
from featureconvex.nn.activations import activation_name
from featureconvex.nn.card import card
from featureconvex.nn.composite import Composite, Node, Wires
from featureconvex.nn.initialisation import initialise_
from featureconvex.nn.nonnegative import MonotoneBatchNorm1d, NonNegativeLinear


class ConvexMLP(nn.Module):
    """``g(u)``, convex in ``u`` by construction (Amos, Xu and Kolter 2017, Proposition 1).

    ``z_1 = s(C_0 u + b_0)``, ``z_(l+1) = s(A_l z_l + C_l u + b_l)``, output ``A_L z_L + C_L u + b_L``
    with every ``A_l >= 0`` and ``s`` convex and nondecreasing. The paper's network is
    ``ConvexMLP(784, (200, 50), batch_norm=True, init="paper")``.

    Args:
        in_features: length of one flattened input.
        hidden: widths of the hidden layers; empty gives an affine function.
        passthrough: whether layers after the first see the input (``C_l``, free in sign).
        batch_norm: a one-channel batch norm, scale >= 0.001, after each activation.
        activation: a name (``"relu"``, ``"leaky_relu:0.1"``, ``"softplus:5"`` ...) or module.
        init: ``"principled"`` (Hoedt and Klambauer 2023) or ``"paper"``.

    Shape: (n, ...) with ``in_features`` numbers per row -> (n,).

    >>> import torch
    >>> ConvexMLP(4, (8, 3))(torch.zeros(5, 2, 2)).shape
    torch.Size([5])
    """

    def __init__(
        self,
        in_features: int,
        hidden: Sequence[int] = (200, 50),
        *,
        passthrough: bool = True,
        batch_norm: bool = False,
        activation: str | nn.Module = "relu",
        init: str = "principled",
    ) -> None:
        super().__init__()
        self.in_features = in_features = whole_number("layer widths: in_features", in_features, 1)
        self.hidden = whole_numbers("the layer widths hidden", hidden, "(200, 50)")
        passthrough = yes_or_no("passthrough", passthrough)
        batch_norm = yes_or_no("batch_norm", batch_norm)
        self.init = init
        widths = [*self.hidden, 1]
        self.input_layers = nn.ModuleList(
            nn.Linear(in_features, width, bias=first or False)
            for first, width in zip([True] + [False] * len(self.hidden), widths, strict=True)
            if first or passthrough
        )
        self.hidden_layers = nn.ModuleList(NonNegativeLinear(a, b) for a, b in pairwise(widths))
        self.activation = make_activation(activation)
        self.norms = nn.ModuleList(MonotoneBatchNorm1d(1) for _ in self.hidden if batch_norm)
        initialise_(self.hidden_layers, init)

    def forward(self, u: Tensor) -> Tensor:
        """(n, ...) -> (n,)."""
        u = u.flatten(1)
        if u.shape[1] != self.in_features:
            raise UserError(f"expected {self.in_features} features per row, got {u.shape[1]}")
        z: Tensor = self.input_layers[0](u)
        for i, layer in enumerate(self.hidden_layers):
            z = self.activation(z)
            if len(self.norms):
                z = self.norms[i](z.unsqueeze(1)).squeeze(1)
            z = layer(z)
            if len(self.input_layers) > 1:
                z = z + self.input_layers[i + 1](u)
        return z.squeeze(1)

    def config(self) -> dict[str, Any]:
        """Constructor arguments, as plain values for a model file."""
        return {
            "in_features": self.in_features,
            "hidden": list(self.hidden),
            "passthrough": len(self.input_layers) > 1 or not self.hidden,
            "batch_norm": len(self.norms) > 0,
            "activation": activation_name(self.activation),
            "init": self.init,
        }


@card(ConvexMLP)
class ConvexMLPCard(Composite[ConvexMLP]):
    """Convex by Proposition 1."""

    def wiring(self, module: ConvexMLP, wires: Wires[Node], node: Node) -> Node:
        """As :meth:`ConvexMLP.forward`."""
        u = wires.reshape(node, 1, (-1,))
        z = wires.through(module.input_layers[0], u)
        for i, layer in enumerate(module.hidden_layers):
            z = wires.through(module.activation, z)
            if len(module.norms):
                z = wires.through(module.norms[i], z)
            z = wires.through(layer, z)
            if len(module.input_layers) > 1:
                z = wires.add(z, wires.through(module.input_layers[i + 1], u))
        return wires.reshape(z, 1, ())
