"""Model files: exact, safe, and refused when they do not fit."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import featureconvex as fc
from featureconvex.errors import UserError
from featureconvex.models.file import load_any_model, load_model, save_model

CENTER = fc.features.Center(torch.rand(3, 1, 1))
MODELS = {
    "mlp": lambda: fc.FeatureConvexModel(
        fc.features.Scale(torch.rand(5), torch.rand(5)),
        fc.nn.ConvexMLP(5, (6, 3), batch_norm=True),
        0.1,
    ),
    "convnet": lambda: fc.FeatureConvexModel(
        fc.features.Compose(CENTER, fc.features.AbsConcat()),
        fc.nn.ConvexConvNet(6, (8, 6), features=2, depth=1, activation="leaky_relu:0.1"),
    ),
    "max-affine": lambda: fc.FeatureConvexModel(fc.features.Identity(), fc.nn.MaxAffine(4, 3)),
    "double": lambda: fc.FeatureConvexModel(
        fc.features.Identity(), fc.nn.ConvexMLP(4, (), activation="softplus:3")
    ).double(),
}
SHAPES = {"mlp": (5,), "convnet": (3, 8, 6), "max-affine": (4,), "double": (4,)}


@pytest.mark.parametrize("name", MODELS)
def test_round_trip_is_exact(name: str, tmp_path: Path) -> None:
    model = MODELS[name]().train()
    x = torch.rand(20, *SHAPES[name], dtype=model.dtype)
    model(x)  # moves batch-norm statistics
    model.eval()
    loaded, extra = load_model(save_model(model, tmp_path / "m", {"task": "t"}))
    assert torch.equal(loaded(x), model(x))
    assert extra == {"task": "t"}
    assert loaded.dtype == model.dtype
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == [
        "model.json",
        "weights.safetensors",
    ]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return save_model(MODELS["mlp"](), tmp_path / "m")


def _edit(path: Path, name: str, change) -> None:  # type: ignore[no-untyped-def]
    tensors = load_file(path / "weights.safetensors")
    if change is None:
        del tensors[name]
    else:
        tensors[name] = change(tensors.get(name))
    save_file(tensors, path / "weights.safetensors")


@pytest.mark.parametrize(
    ("name", "change", "word"),
    [
        (
            "convex_net.hidden_layers.0.weight",
            lambda w: w - 1,
            "hidden_layers.0.weight: a convex path",
        ),
        ("convex_net.norms.0.weight", lambda w: -w, "norms.0.weight: a convex path"),
        ("convex_net.norms.0.running_var", lambda w: -w - 1, "variance"),
        ("convex_net.input_layers.0.weight", lambda w: w * torch.nan, "NaN"),
        ("convex_net.input_layers.0.weight", lambda w: w[:2].clone(), "expected"),
        ("convex_net.input_layers.0.weight", lambda w: w.double(), "float64"),
        ("tau", None, "lacks tau"),
        ("surprise", lambda _: torch.zeros(1), "unknown surprise"),
    ],
)
def test_tampered_weights_are_refused(saved: Path, name: str, change, word: str) -> None:  # type: ignore[no-untyped-def]
    _edit(saved, name, change)
    with pytest.raises(UserError, match=word):
        load_model(saved)


@pytest.mark.parametrize(
    ("edit", "word"),
    [
        (lambda s: s.update(format="other"), "not a featureconvex model"),
        (lambda s: s.update(version=99), "format 99"),
        (lambda s: s["convex_net"].update(kind="Evil"), "unknown module 'Evil'"),
        (lambda s: s["convex_net"]["config"].update(hidden="x"), "cannot build"),
        (lambda s: s["convex_net"]["config"].update(activation="tanh"), "unknown activation"),
        (lambda s: s["convex_net"]["config"].update(surprise=1), "cannot build"),
        (lambda s: s.update(feature_map=s["convex_net"]), "feature_map is a ConvexMLP"),
        (lambda s: s.update(dtype="int8"), "dtype"),
        (lambda s: s.pop("convex_net"), "convex_net"),
        (lambda s: s.update(convex_net=3), "cannot build"),
        (lambda s: s.update(extra=None), "extra is not an object"),
        (
            lambda s: s.update(extra={"feature_names": ["a"], "input_shape": [2]}),
            r"1 feature_names for inputs of shape \[2\]",
        ),
    ],
)
def test_tampered_structure_is_refused(saved: Path, edit, word: str) -> None:  # type: ignore[no-untyped-def]
    structure = json.loads((saved / "model.json").read_text())
    edit(structure)
    (saved / "model.json").write_text(json.dumps(structure))
    with pytest.raises(UserError, match=word):
        load_model(saved)


def test_damaged_files_are_named(saved: Path, tmp_path: Path) -> None:
    table = tmp_path / "iris.csv"
    table.write_text("a,b")
    with pytest.raises(UserError, match="is a file, and a model is a folder"):
        fc.load(table)
    with pytest.raises(UserError, match="there is a file of that name; choose another path"):
        save_model(MODELS["mlp"](), table)
    with pytest.raises(UserError, match=r"no model in .* name a run's folder"):
        load_model(tmp_path / "nothing")
    weights = saved / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:30])
    with pytest.raises(UserError, match=r"weights\.safetensors is damaged"):
        load_model(saved)
    (saved / "model.json").write_text("{")
    with pytest.raises(UserError, match=r"model\.json is damaged"):
        load_model(saved)


def test_weights_that_changed_on_disk_are_refused(saved: Path) -> None:
    _edit(saved, "convex_net.input_layers.0.weight", lambda w: w * 1.0001)
    with pytest.raises(UserError, match="checksums differ"):
        load_model(saved)
    structure = json.loads((saved / "model.json").read_text())
    del structure["weights_sha256"]  # as files of before had none
    (saved / "model.json").write_text(json.dumps(structure))
    load_model(saved)


class HalvedHere(fc.features.Identity):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / 2


def test_a_class_from_elsewhere_comes_back_by_its_full_name(tmp_path: Path) -> None:
    model = fc.FeatureConvexModel(HalvedHere(), fc.nn.MaxAffine(2, 2))
    path = save_model(model, tmp_path / "m")
    text = (path / "model.json").read_text()
    x = torch.rand(3, 2)
    full = json.loads(text)["feature_map"]["kind"]
    assert full == f"{__name__}.HalvedHere"
    # As files of earlier releases name it, and as it is.
    for name in ("HalvedHere", full):
        (path / "model.json").write_text(text.replace(json.dumps(full), json.dumps(name)))
        assert torch.equal(load_model(path)[0](x), model(x))
    (path / "model.json").write_text(text.replace(json.dumps(full), '"elsewhere.Third"'))
    with pytest.raises(UserError, match=r"unknown module 'elsewhere\.Third'; import"):
        load_model(path)


def test_a_class_from_elsewhere_does_not_pass_for_one_of_the_librarys(tmp_path: Path) -> None:
    class Identity(fc.features.Identity):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 3 * x

    plain = fc.FeatureConvexModel(fc.features.Identity(), fc.nn.MaxAffine(2, 2))
    other = fc.FeatureConvexModel(Identity(), fc.nn.MaxAffine(2, 2))
    x = torch.rand(3, 2)
    for model in (plain, other):
        loaded, _ = load_model(save_model(model, tmp_path / "m"))
        assert type(loaded.feature_map) is type(model.feature_map)
        assert torch.equal(loaded(x), model(x))


def test_a_network_without_a_config_is_refused_by_name(tmp_path: Path) -> None:
    net = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Flatten(0))
    model = fc.FeatureConvexModel(fc.features.Identity(), net)
    with pytest.raises(UserError, match=r"cannot hold a torch\..*Sequential"):
        save_model(model, tmp_path / "m")


def test_a_model_file_cannot_claim_another_scale_than_it_applies(tmp_path: Path) -> None:
    """A centring's constant is 1; a file that says 0.01 would multiply every radius by 100."""
    model = fc.FeatureConvexModel(fc.features.Center([0.5, 0.5]), fc.nn.MaxAffine(2, 2))
    path = save_model(model, tmp_path / "m")
    assert "feature_map.scale" not in load_file(path / "weights.safetensors")
    _edit(path, "feature_map.scale", lambda _: torch.tensor(0.01, dtype=torch.float64))
    with pytest.raises(UserError, match=r"unknown feature_map\.scale"):
        load_model(path)


def test_a_part_that_occurs_twice_is_stored_twice(tmp_path: Path) -> None:
    """One module in two places shares its memory, and so may two tensors of one storage."""
    half = fc.features.Scale([0.5, 0.25], [0.1, 0.2])
    whole = torch.arange(4, dtype=torch.float64)
    first, second = fc.features.Center([0.0, 0.0]), fc.features.Center([0.0, 0.0])
    first.shift, second.shift = whole[:2], whole[2:]
    bent = fc.features.AbsConcat()
    for size, maps in ((2, (half, half)), (4, (half, half, bent)), (2, (first, second))):
        model = fc.FeatureConvexModel(fc.features.Compose(*maps), fc.nn.MaxAffine(size, 3))
        loaded, _ = load_model(save_model(model, tmp_path / "m"))
        x = torch.rand(20, 2)
        assert torch.equal(loaded(x), model(x))
        assert (fc.certify(loaded, x).radius == fc.certify(model, x).radius).all()


def test_numpy_numbers_in_a_constructor_can_be_stored(tmp_path: Path) -> None:
    net = fc.nn.ConvexMLP(np.int64(3), np.array([4, 2]), batch_norm=np.True_)  # type: ignore[arg-type]
    model = fc.FeatureConvexModel(fc.features.Identity(), net).eval()
    extra = {"seed": np.int64(3), "rate": np.float32(0.5), "widths": np.array([1, 2])}
    loaded, read = load_model(save_model(model, tmp_path / "m", extra))
    assert read == {"seed": 3, "rate": 0.5, "widths": [1, 2]}
    x = torch.rand(5, 3)
    assert torch.equal(loaded(x), model(x))
    with pytest.raises(UserError, match="cannot hold"):
        save_model(model, tmp_path / "m", {"rate": {1, 2}})


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("first", [torch.float32, torch.float64])
def test_a_converted_model_with_constants_comes_back(
    tmp_path: Path, several: bool, first: torch.dtype
) -> None:
    """``.float()`` rounds the constants of a feature map, which files have in float64."""
    phi = fc.features.Compose(
        fc.features.Center([0.1, 0.2]), fc.features.Scale([1.1, 0.7], [0.3, 0.1])
    )
    nets = [fc.nn.ConvexMLP(2, (3,)) for _ in range(3)]
    model: fc.FeatureConvexModel | fc.MultiClassModel
    model = fc.MultiClassModel(phi, nets) if several else fc.FeatureConvexModel(phi, nets[0], 0.1)
    model = model.eval().to(first).float()
    fc.save_model(model, tmp_path / "model")
    again, _ = load_any_model(tmp_path / "model")
    x = torch.rand(20, 2)
    assert torch.equal(again(x), model(x))
