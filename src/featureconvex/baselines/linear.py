"""``linear``: logistic regression, whose robust radius is exact in every norm."""

import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from featureconvex.baselines.method import Radii
from featureconvex.baselines.scored_network import ScoredNetwork
from featureconvex.norms import dual_exponent, vector_norm


class Linear(ScoredNetwork):
    """``<w, x> + tau``: the distance to the hyperplane is ``margin / ||w||_q``, the floor to beat.

    Trained with a little weight decay.
    """

    name = "linear"
    title = "linear"
    native_norms: ClassVar[tuple[float, ...]] = (1.0, 2.0, math.inf)
    passes = "1 forward"
    literature = "The exact distance to a hyperplane."
    former_names: ClassVar[Mapping[str, str]] = {"layer.": "network.1."}
    weight_decay = 1e-4

    def build(self) -> nn.Module:
        """One row of weights, zero at first."""
        layer = nn.Linear(self.options.dimension, 1, bias=False)
        nn.init.zeros_(layer.weight)
        return nn.Sequential(nn.Flatten(), layer, nn.Flatten(0))

    @property
    def weight(self) -> Tensor:
        """``w``, (1, d)."""
        return self.network.get_parameter("1.weight").detach()

    def score(self, x: Tensor) -> Tensor:
        """``<w, x>``."""
        return x.flatten(1).double() @ self.weight[0].double()

    @torch.no_grad()
    def certify(self, x: Tensor, level: str) -> Radii:
        """``(<w, x> + tau) / ||w||_q``."""
        margins = self.margins(x).clamp(min=0).cpu().numpy()
        w = self.weight.cpu()
        lengths = {p: float(vector_norm(w, dual_exponent(p))) for p in self.native_norms}
        # Without weights, as for columns that never vary, nothing moves the score.
        unbounded = np.where(margins > 0, np.inf, 0.0)
        return {p: margins / size if size > 0 else unbounded for p, size in lengths.items()}
