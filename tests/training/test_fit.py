"""From points to a calibrated model: what happens around the training loop."""

import math

import pytest
import torch
from torch import Tensor

import featureconvex as fc
from featureconvex.errors import UserError
from featureconvex.training.architectures import Architecture, image_architecture
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


def _build(points: Points) -> fc.FeatureConvexModel:
    x = points.x
    phi = fc.features.Center(x.mean(dim=0))
    return fc.FeatureConvexModel(phi, fc.nn.ConvexMLP(x[0].numel(), (16, 4)))


def test_after_a_front_every_mirror_image_is_a_point_and_nothing_is_mirrored_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Mirrored coefficients with the orientations left as they are belong to no image."""
    seen: list[Tensor] = []

    def build(points: Points) -> fc.FeatureConvexModel:
        seen.append(points.x)
        return _build(points)

    def checked(self: Augmentation, x: Tensor, _: torch.Generator) -> Tensor:
        assert not self.flip
        return x

    monkeypatch.setattr(Augmentation, "__call__", checked)
    recipe = Recipe("r", temperature=0.3, epochs=3, batch_size=16)
    fit(Architecture({"own": build}, FRONT), recipe, _images())
    flips = recipe.replace(augmentation=Augmentation(flip=True))
    fitted = fit(Architecture({"own": build}, FRONT), flips, _images())
    assert [len(x) for x in seen] == [72, 144]
    torch.testing.assert_close(seen[1][:72], seen[0])
    assert not torch.allclose(seen[1][72:], seen[0])
    assert fitted.recipe.augmentation.flip  # the record says what was asked for


def test_after_a_front_other_augmentations_are_refused() -> None:
    for change in (Augmentation(shift=1), Augmentation(warp=0.1)):
        recipe = Recipe("r", temperature=0.3, epochs=1, augmentation=change)
        with pytest.raises(UserError, match="mirrored, not shifted or warped"):
            fit(Architecture({"own": _build}, FRONT), recipe, _images())


def test_the_joined_model_takes_images_and_scores_what_it_says() -> None:
    points = _images(200)
    recipe = default(tuple(points.x.shape), 2.0).replace(temperature=0.1, epochs=20, batch_size=16)
    fitted = fit(Architecture({"own": _build}, FRONT), recipe, points)
    right = (fitted.model(points.x) > 0) == (points.y == 1)
    assert float(right.double().mean()) > 0.9
    assert fitted.train_accuracy > 0.9
    assert fitted.n_train == 180


@pytest.mark.parametrize("temperature", [None, 0.02])
def test_a_front_that_names_a_norm_is_trained_in_it_and_reports_in_the_one_asked_for(
    temperature: float | None,
) -> None:
    points, longest = _images(), math.sqrt(math.prod(SHAPE))
    recipe = default(tuple(points.x.shape), math.inf).replace(epochs=3, batch_size=16)
    asked = fit(
        Architecture({"own": _build}, FRONT, norm=2.0),
        recipe.replace(temperature=temperature),
        points,
    )
    there = None if temperature is None else temperature * longest
    trained = fit(
        Architecture({"own": _build}, FRONT), recipe.replace(norm=2.0, temperature=there), points
    )
    for name, value in trained.model.state_dict().items():
        assert torch.equal(value, asked.model.state_dict()[name]), name
    assert asked.recipe.norm == math.inf
    assert trained.recipe.temperature is not None
    assert asked.recipe.temperature == pytest.approx(trained.recipe.temperature / longest)
    for pilot, other in zip(asked.pilots, trained.pilots, strict=True):
        assert pilot.temperature == pytest.approx(other.temperature / longest)
        assert pilot.chosen == other.chosen
    radius = fc.certify(asked.model, points.x, fc.Lp(math.inf)).radius
    through = fc.certify(asked.model, points.x, fc.Lp(2)).radius / longest
    assert (radius >= through * (1 - 1e-9)).all()
    last = asked.history[-1]["validation_median_radius"]
    assert last == pytest.approx(trained.history[-1]["validation_median_radius"] / longest)


@pytest.mark.parametrize("norm", [1.0, 2.0, math.inf])
def test_colour_images_have_the_model_of_their_norm(norm: float) -> None:
    architecture = image_architecture(SHAPE, "task", "default", norm, torch.device("cpu"))
    (build,) = architecture.builds.values()
    model = architecture.join(build(architecture.after_front(_images())))
    phi = model.feature_map
    assert isinstance(phi, fc.features.Compose)
    kinds = {type(part) for part in phi.parts()}
    assert (fc.features.AbsConcat in kinds) == (norm == 1)
    assert (fc.features.Scattering in kinds) == (norm == 2)
    assert (fc.features.Distances in kinds) == (norm == math.inf)
    assert architecture.norm == (2.0 if norm == 2 else None)
    assert phi.lipschitz(norm) <= (2 if norm == 1 else 1) * (1 + 1e-6)
    assert model(_images().x).shape == (80,)
