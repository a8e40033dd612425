"""From points to a calibrated model: what happens around the training loop."""

import pytest
import torch
from torch import Tensor

import featureconvex as fc
from featureconvex.errors import UserError
from featureconvex.training.architectures import Architecture
from featureconvex.training.augmentation import Augmentation
from featureconvex.training.fit import fit
from featureconvex.training.points import Points
from featureconvex.training.recipes import Recipe, default

SHAPE = (3, 8, 8)
FRONT = fc.features.Scattering(SHAPE, scales=2, orientations=2)


def _images(n: int = 80) -> Points:
    """Class 1 is brighter."""
    x = torch.rand(n, *SHAPE, generator=torch.Generator().manual_seed(0))
    y = torch.arange(n) % 2
    x[y == 1] += 0.5
    return Points(x / 1.5, y)


def _build(x: Tensor) -> fc.FeatureConvexModel:
    phi = fc.features.Center(x.mean(dim=0))
    return fc.FeatureConvexModel(phi, fc.nn.ConvexMLP(x[0].numel(), (16, 4)))


def test_behind_a_front_every_mirror_image_is_a_point_and_nothing_is_mirrored_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Mirrored coefficients with the orientations left as they are belong to no image."""
    seen: list[Tensor] = []

    def build(x: Tensor) -> fc.FeatureConvexModel:
        seen.append(x)
        return _build(x)

    def checked(self: Augmentation, x: Tensor, _: torch.Generator) -> Tensor:
        assert not self.flip
        return x

    monkeypatch.setattr(Augmentation, "__call__", checked)
    recipe = Recipe("r", temperature=0.3, epochs=3, batch_size=16)
    fit(Architecture(build, FRONT), recipe, _images())
    flips = recipe.but(augmentation=Augmentation(flip=True))
    fitted = fit(Architecture(build, FRONT), flips, _images())
    assert [len(x) for x in seen] == [72, 144]
    torch.testing.assert_close(seen[1][:72], seen[0])
    assert not torch.allclose(seen[1][72:], seen[0])
    assert fitted.recipe.augmentation.flip  # the record says what was asked for


def test_behind_a_front_other_augmentations_are_refused() -> None:
    for change in (Augmentation(shift=1), Augmentation(warp=0.1)):
        recipe = Recipe("r", temperature=0.3, epochs=1, augmentation=change)
        with pytest.raises(UserError, match="mirrored, not shifted or warped"):
            fit(Architecture(_build, FRONT), recipe, _images())


def test_the_joined_model_takes_images_and_scores_what_it_says() -> None:
    points = _images(200)
    recipe = default(tuple(points.x.shape), 2.0).but(temperature=0.1, epochs=20, batch_size=16)
    fitted = fit(Architecture(_build, FRONT), recipe, points)
    right = (fitted.model(points.x) > 0) == (points.y == 1)
    assert float(right.double().mean()) > 0.9
    assert fitted.train_accuracy > 0.9
    assert fitted.n_train == 180
