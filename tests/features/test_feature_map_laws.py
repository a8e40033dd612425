"""Every elementwise feature map the library ships obeys every law of a feature map."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from featureconvex.features import AbsConcat, Center, Compose, FeatureMap, Identity, Log1p, Scale
from featureconvex.testing import FEATURE_MAP_LAWS, FeatureMapCase, Law


def absolute(x: Tensor) -> Tensor:
    return torch.stack([torch.cat((row, row.abs())) for row in x])


def case(
    make: Callable[[], FeatureMap],
    shape: tuple[int, ...],
    truth: Callable[[Tensor], Tensor] | None = None,
) -> FeatureMapCase:
    return FeatureMapCase(make, shape, truth)


CASES = {
    "identity": case(Identity, (4,), lambda x: x.clone()),
    "center": case(lambda: Center(0.3), (4,), lambda x: x - 0.3),
    "center-channels": case(lambda: Center([[[0.5]], [[-1.0]]]), (2, 2, 2)),
    "scale": case(
        lambda: Scale([2.0, -3.0, 0.25], [1.0, 0.0, 5.0]),
        (3,),
        lambda x: torch.stack([2 * x[:, 0] + 1, -3 * x[:, 1], 0.25 * x[:, 2] + 5], 1),
    ),
    "scale-with-zero": case(lambda: Scale([0.0, 2.0]), (2,)),
    "scale-tiny": case(lambda: Scale([1e-8, 1e-4]), (2,)),
    "scale-huge": case(lambda: Scale([1e8, 1e4]), (2,)),
    "absolute": case(AbsConcat, (3,), absolute),
    "absolute-image": case(AbsConcat, (2, 2, 2), absolute),
    "the-papers": case(
        lambda: Compose(Center(0.25), AbsConcat()), (3,), lambda x: absolute(x - 0.25)
    ),
    "scaled-absolute": case(lambda: Compose(Scale([1.0, -3.0, 0.0]), AbsConcat()), (3,)),
    "affine-after": case(
        lambda: Compose(AbsConcat(), Scale([1.0, 2.0, 3.0, -4.0]), Center(1.0)), (2,)
    ),
    "affine-both-ends": case(
        lambda: Compose(Center(1.0), Scale([5.0, 0.5]), AbsConcat(), Scale(0.5)), (2,)
    ),
    "log1p": case(Log1p, (4,), lambda x: torch.log1p(x.clamp_min(0))),
    "log1p-scaled": case(lambda: Compose(Log1p(), Scale([2.0, -1.0, 0.0, 0.5], 0.3)), (4,)),
    "twice-absolute": case(lambda: Compose(AbsConcat(), Center(0.5), AbsConcat()), (2,)),
    "nested": case(
        lambda: Compose(Compose(Center(1.0), Scale([2.0, 3.0])), Identity(), AbsConcat()), (2,)
    ),
    "all-affine": case(
        lambda: Compose(Center(1.0), Scale([2.0, 3.0]), Identity(), Scale(-1.0)), (2,)
    ),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("law", FEATURE_MAP_LAWS, ids=lambda law: law.__name__)
def test_law(law: Law[FeatureMapCase], name: str) -> None:
    law(CASES[name])


@pytest.mark.parametrize(
    ("make", "affine", "coordinatewise"),
    [
        (Identity, True, True),
        (lambda: Center(0.0), True, True),
        (lambda: Scale(2.0), True, True),
        (AbsConcat, False, True),
        (lambda: Compose(Center(0.0), Scale(2.0)), True, True),
        (lambda: Compose(Center(0.0), AbsConcat()), False, True),
    ],
)
def test_flags(make: Callable[[], FeatureMap], affine: bool, coordinatewise: bool) -> None:
    assert (make().affine, make().coordinatewise) == (affine, coordinatewise)
