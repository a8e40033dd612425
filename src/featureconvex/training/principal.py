"""Training in the basis of principal components, and the way back.

Adam moves every coordinate at its own pace, so it depends on the axes. Scattering coefficients are
strongly correlated; along their principal components the same steps reach a lower loss. A rotation
keeps lengths, so radii in l2 are the same in both bases, and what is trained in one is a network
of the same shape in the other.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from featureconvex.features import Center
from featureconvex.model import FeatureConvexModel
from featureconvex.nn import ConvexMLP
from featureconvex.training.points import Points

# Directions looked for beyond those kept, so that the last ones kept have converged too.
OVERSAMPLING = 10


@dataclass(frozen=True)
class PrincipalBasis:
    """An orthonormal basis of the directions in which some points vary most.

    Attributes:
        mean: (d,) of the points, float64.
        directions: (d, k) orthonormal columns up to rounding, float64.
        shape: of one point; ``d`` is the product.
    """

    mean: Tensor
    directions: Tensor
    shape: tuple[int, ...]

    @classmethod
    def of(cls, x: Tensor, components: int, seed: int = 0) -> "PrincipalBasis":
        """The leading ``components`` (fewer if there are fewer points or coordinates) of ``x``.

        By subspace iteration from random starts (Halko, Martinsson and Tropp 2011).

        Args:
            x: (n, ...) points.
            components: k.
            seed: of the random starts.
        """
        flat = x.flatten(1)
        mean = flat.double().mean(dim=0)
        rank = min(components, *flat.shape)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            centred = flat - mean.to(flat.dtype)
            search = min(rank + OVERSAMPLING, *flat.shape)
            directions = torch.svd_lowrank(centred, q=search, niter=2)[2][:, :rank]
        # Once more in float64: exactly orthonormal columns make the way back exact.
        return cls(mean, torch.linalg.qr(directions.double())[0], tuple(x.shape[1:]))

    def coordinates(self, points: Points) -> Points:
        """The points in this basis, (n, k)."""
        flat = points.x.flatten(1)
        x = (flat - self.mean.to(flat.dtype)) @ self.directions.to(flat.dtype)
        return Points(x, points.y)

    @torch.no_grad()
    def unfold(self, model: FeatureConvexModel) -> FeatureConvexModel:
        """The model with the same margins that takes the points as they were before.

        ``C (B^T (x - m) - c) = (C B^T) (x - m - B c)`` since ``B^T B = I``. Certificates are taken
        from the weights this returns, so rounding here costs no soundness.

        Args:
            model: ``Center`` and a :class:`ConvexMLP` on k coordinates.

        Raises:
            TypeError: any other model.
        """
        phi, net = model.feature_map, model.convex_net
        if type(phi) is not Center or type(net) is not ConvexMLP:
            raise TypeError("only a centred ConvexMLP can be carried over to another basis")
        settings = {**net.config(), "in_features": len(self.mean)}
        wide = ConvexMLP(**settings).to(model.device, model.dtype)
        state = net.state_dict()
        for name, weight in state.items():
            if name.startswith("input_layers.") and name.endswith(".weight"):
                state[name] = (weight.double() @ self.directions.T).to(weight.dtype)
        wide.load_state_dict(state)
        mean = self.mean - self.directions @ phi.shift.expand(self.directions.shape[1])
        center = Center(mean.reshape(self.shape)).to(model.device)
        return FeatureConvexModel(center, wide, float(model.tau)).to(model.device)
