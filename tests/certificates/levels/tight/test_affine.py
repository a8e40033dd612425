"""A network without a single activation has one affine minorant, itself: nothing is left to ascend."""

import numpy as np
import pytest
import torch

import featureconvex as fc
from featureconvex.certificates import Threat


@pytest.mark.parametrize("threat", [fc.Lp(1), fc.Lp(2), fc.L0(), fc.Patch(2)], ids=str)
@pytest.mark.parametrize(
    "features", [fc.features.Identity(), fc.features.AbsConcat()], ids=["x", "abs"]
)
def test_level_domain_is_already_tight(features: fc.features.FeatureMap, threat: Threat) -> None:
    torch.manual_seed(0)
    wide = 8 if isinstance(features, fc.features.AbsConcat) else 4
    net = fc.nn.ConvexMLP(wide, ())
    model = fc.FeatureConvexModel(features, net, tau=0.0).double().eval()
    x = torch.rand(40, 4, dtype=torch.float64)
    with torch.no_grad():
        model.tau.fill_(-model(x).median())
    domain = fc.Box(0, 1)
    before, after = (fc.certify(model, x, threat, domain, level) for level in ("domain", "tight"))
    assert np.allclose(after.radius, before.radius, rtol=1e-9)
    assert (np.isfinite(before.radius) & (before.margin > 0)).any()
