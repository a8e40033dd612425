"""Training through a learned feature map, with a temperature for each class."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer

import featureconvex as fc
from featureconvex.errors import UserError
from featureconvex.features import Compose, Distances, MaxMin, NonexpansiveLinear
from featureconvex.training.architectures import MAPS, Architecture, image_architecture
from featureconvex.training.checkpoint import Checkpoint
from featureconvex.training.fit import fit
from featureconvex.training.loop import train
from featureconvex.training.losses import radius_cross_entropy
from featureconvex.training.points import Points
from featureconvex.training.recipes import Recipe, default, fixed
from featureconvex.training.temperature import RATIOS


def points(n: int = 240, seed: int = 0) -> Points:
    """A ring around a blob: no affine function tells them apart."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 2
    angle = 2 * math.pi * torch.rand(n, generator=generator)
    size = torch.where(y == 1, 1.0, 0.2) + 0.1 * torch.randn(n, generator=generator)
    x = torch.stack((size * angle.cos(), size * angle.sin()), 1)
    return Points(x, y)


def model(kind: str = "orthogonal") -> fc.FeatureConvexModel:
    torch.manual_seed(0)
    phi = (
        Compose(Distances(2, 16), Distances(16, 8))
        if kind == "distances"
        else Compose(NonexpansiveLinear(2, 16), MaxMin(), NonexpansiveLinear(16, 8), MaxMin())
    )
    return fc.FeatureConvexModel(phi, fc.nn.ConvexMLP(8, (8,)))


RECIPE = Recipe("r", temperature=0.1, asymmetry=2.0, epochs=12, batch_size=16, learning_rate=1e-2)


@pytest.mark.parametrize(
    ("kind", "norm", "s"), [("orthogonal", 2.0, 2.0), ("distances", math.inf, math.inf)]
)
def test_the_map_learns_and_keeps_its_constant(kind: str, norm: float, s: float) -> None:
    net = model(kind)
    before = [value.clone() for value in net.feature_map.parameters()]
    history = train(net, RECIPE.replace(norm=norm), points(), points(80, 1))
    assert any(
        not torch.equal(a, b) for a, b in zip(before, net.feature_map.parameters(), strict=True)
    )
    assert max(epoch["validation_accuracy"] for epoch in history) > 0.95
    assert net.eval().feature_map.lipschitz(norm, s) <= 1 + 1e-5  # type: ignore[call-arg]
    certificate = fc.certify(net, points(80, 1).x, fc.Lp(norm))
    assert np.median(certificate.radius[certificate.radius > 0]) > 0.05


@pytest.mark.parametrize("kind", ["orthogonal", "distances"])
def test_resuming_ends_with_the_same_weights(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, recipe = model(kind), RECIPE.replace(epochs=4, norm=math.inf)
    train(whole, recipe, points(), points(80, 1), seed=1)
    cut = Checkpoint(tmp_path / "c.pt", {})
    saved: list[int] = []

    class StoppedError(Exception):
        pass

    def save(state: dict[str, object]) -> None:
        Checkpoint.save(cut, state)
        saved.append(1)
        if len(saved) == 2:
            raise StoppedError

    monkeypatch.setattr(cut, "save", save)
    with pytest.raises(StoppedError):
        train(model(kind), recipe, points(), points(80, 1), seed=1, checkpoint=cut)
    resumed = model(kind)
    again = Checkpoint(tmp_path / "c.pt", {})
    train(resumed, recipe, points(), points(80, 1), seed=1, checkpoint=again)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_each_class_has_its_temperature() -> None:
    radius, sign = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([1.0, -1.0, -1.0])
    expected = (
        math.log1p(math.exp(-1.0 / 4))
        + (math.log1p(math.exp(-2.0)) + math.log1p(math.exp(0.5))) / 4
    ) / 3
    assert float(radius_cross_entropy(radius, sign, 4.0, 1.0)) == pytest.approx(expected, rel=1e-6)
    plain = (
        math.log1p(math.exp(-0.25)) + math.log1p(math.exp(-2.0)) + math.log1p(math.exp(0.5))
    ) / 3
    found = radius_cross_entropy(radius, sign, 4.0, 1.0, balanced=False)
    assert float(found) == pytest.approx(plain, rel=1e-6)
    assert Recipe("r", temperature=4.0, asymmetry=2.0).temperatures == (4.0, 2.0)
    assert Recipe("r", temperature=4.0, other_temperature=3.0).temperatures == (4.0, 3.0)


def test_one_sided_training_gives_the_sensitive_class_more_room() -> None:
    """Two points: equal temperatures put the boundary half way, a smaller one beyond it."""
    x = torch.tensor([[-1.0, 0.0], [1.0, 0.0]]).repeat(64, 1)
    two = Points(x, (x[:, 0] > 0).long())
    radii = []
    for asymmetry in (1.0, 5.0):
        torch.manual_seed(0)
        net = fc.FeatureConvexModel(fc.features.Identity(), fc.nn.ConvexMLP(2, ()))
        recipe = Recipe("r", temperature=1.0, asymmetry=asymmetry, epochs=150, batch_size=64)
        train(net, recipe.replace(learning_rate=0.05), two, two)
        radii.append(float(fc.certify(net.eval(), x[1:2]).radius[0]))
    assert radii[0] == pytest.approx(1.0, abs=0.05)
    assert 1.2 < radii[1] < 2.0


@pytest.mark.parametrize(
    ("name", "norm"), list(zip(MAPS, (2.0, 2.0, math.inf, 1.0), strict=True)), ids=MAPS
)
def test_the_estimator_learns_every_map(name: str, norm: float) -> None:
    X, y = load_breast_cancer(return_X_y=True)
    clf = fc.FeatureConvexClassifier(
        sensitive_class=0, norm=norm, feature_map=name, temperature=0.3, other_temperature=0.1
    ).set_params(random_state=0, epochs=20)
    clf.fit(X[:400], y[:400])
    # Distances to points take longer to learn than products.
    assert clf.score(X[400:], y[400:]) > (0.75 if name == "distances" else 0.9)
    certificate = clf.certify(X[400:], threat=fc.Lp(norm, cost=clf.cost_), level="sound")
    assert (certificate.radius > 0).mean() > 0.1


def test_an_unknown_map_is_refused_before_training() -> None:
    with pytest.raises(UserError, match="feature_map"):
        fc.FeatureConvexClassifier(feature_map="wavelets").fit([[0.0], [1.0]] * 30, [0, 1] * 30)


def test_a_named_false_positive_rate_chooses_among_pilots() -> None:
    recipe = RECIPE.replace(temperature=None, epochs=5, learning_rate=2e-2)
    fitted = fit(Architecture({"own": lambda _: model()}), recipe, points(400), target_fpr=0.05)
    assert len(fitted.pilots) == len(RATIOS)
    assert sum(pilot.chosen for pilot in fitted.pilots) == 1
    assert fitted.calibration.rule == "fpr"
    assert fitted.recipe.target_fpr == 0.05


@pytest.mark.parametrize(
    ("norm", "name", "kind"),
    [
        (1.0, "identity", None),
        (2.0, "orthogonal", NonexpansiveLinear),
        (math.inf, "distances", Distances),
    ],
)
def test_grey_images_have_the_maps_of_their_norm(norm: float, name: str, kind: type | None) -> None:
    shape = (1, 6, 6)
    built = image_architecture(shape, "mine", "default", norm, torch.device("cpu"))
    some = Points(torch.rand(4, *shape), torch.tensor([0, 1, 0, 1]))
    phi = built.builds[name](some).feature_map
    assert phi.learned == (kind is not None)
    assert kind is None or any(isinstance(part, kind) for part in phi.modules())
    assert default((100, *shape), norm).asymmetry > fixed((100, *shape), norm).asymmetry
    assert set(image_architecture(shape, "mine", "fixed", norm, torch.device("cpu")).builds) == {
        "identity"
    }
