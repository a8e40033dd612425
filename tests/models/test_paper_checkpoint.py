"""Checkpoints of the paper's authors' code: the same margins, the same radii, and nothing guessed.

The checkpoints are made up, in the layout that their code writes; ``logits`` follows their formulas, weight
by weight.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

import featureconvex as fc

Made = tuple[dict[str, Tensor], Callable[[Tensor], Tensor], tuple[int, ...]]


def batch_norm(state: dict[str, Tensor], name: str, channels: int) -> None:
    state[f"{name}.weight"] = torch.rand(channels) + 0.5
    state[f"{name}.bias"] = torch.randn(channels)
    state[f"{name}.running_mean"] = torch.randn(channels)
    state[f"{name}.running_var"] = torch.rand(channels) + 0.5
    state[f"{name}.num_batches_tracked"] = torch.tensor(7)


def normalised(state: dict[str, Tensor], z: Tensor, name: str) -> Tensor:
    return F.batch_norm(
        z,
        state[f"{name}.running_mean"],
        state[f"{name}.running_var"],
        state[f"{name}.weight"],
        state[f"{name}.bias"],
    )


def frame(channels: int, tau: float = 0.25) -> dict[str, Tensor]:
    """What surrounds the network: the threshold and the centring."""
    means = torch.rand(channels)
    return {
        "class_balance": torch.tensor(tau),
        "normalize.means": means,
        **{f"normalize.{name}": torch.ones(channels) for name in ("sds", "vars", "weight")},
        "normalize.bias": torch.zeros(channels),
    }


def perceptron(passthrough: bool, norms: bool, widths: tuple[int, ...] = (5, 3)) -> Made:
    """Their ConvexMnist on pictures of 4 x 4: the logit as a function of what the feature map returns."""
    state, sizes = frame(1), (16, *widths, 1)
    for i, (before, after) in enumerate(pairwise(sizes)):
        weight = torch.randn(after, before)
        state[f"convex_model.W_z.{i}.weight"] = weight.abs() if i else weight
        if passthrough:
            state[f"convex_model.W_x.{i}.weight"] = torch.randn(after, 16)
        state[f"convex_model.{'W_x' if passthrough else 'W_z'}.{i}.bias"] = torch.randn(after)
        if norms and i < len(widths):
            batch_norm(state, f"convex_model.bns.{i}", 1)

    def logits(state: dict[str, Tensor], u: Tensor) -> Tensor:
        u = u.flatten(1)
        z = u
        for i in range(len(sizes) - 1):
            z = F.linear(z, state[f"convex_model.W_z.{i}.weight"])
            if passthrough:
                z = z + F.linear(u, state[f"convex_model.W_x.{i}.weight"])
            z = z + state[f"convex_model.{'W_x' if passthrough else 'W_z'}.{i}.bias"]
            if i < len(widths):
                z = z.relu()
                if norms:
                    z = normalised(state, z[:, None], f"convex_model.bns.{i}")[:, 0]
        return z[:, 0]

    return state, lambda u: logits(widened(state, u), u), (1, 4, 4)


def convnet(channels: int, doubled: bool, depth: int = 2) -> Made:
    """Their ConvexFashionMnist (one channel) or ConvexCifar (three, ``(u, |u|)`` in front), small."""
    state, seen, features = frame(channels), channels * (1 + doubled), 4
    batch_norm(state, "convex_model.bn_1", seen)
    state["convex_model.conv_1.weight"] = torch.randn(features, seen, 5, 5) / 5
    state["convex_model.conv_1.bias"] = torch.randn(features)
    for i in range(depth):
        batch_norm(state, f"convex_model.blocks.{i}.bn", features)
        weight = torch.rand(features, features, 3, 3) / 9
        state[f"convex_model.blocks.{i}.conv.weight"] = weight
        state[f"convex_model.blocks.{i}.conv.bias"] = torch.randn(features)
    batch_norm(state, "convex_model.bn_last", features)
    state["convex_model.readout.weight"] = torch.rand(1, features * 64) / 64
    state["convex_model.readout.bias"] = torch.randn(1)

    def logits(state: dict[str, Tensor], u: Tensor) -> Tensor:
        def conv(z: Tensor, name: str, padding: int) -> Tensor:
            return F.conv2d(z, state[f"{name}.weight"], state[f"{name}.bias"], padding=padding)

        z = conv(normalised(state, u, "convex_model.bn_1"), "convex_model.conv_1", 2).relu()
        for i in range(depth):
            z = normalised(state, z, f"convex_model.blocks.{i}.bn")
            z = (conv(z, f"convex_model.blocks.{i}.conv", 1) + z).relu()
        z = normalised(state, z, "convex_model.bn_last").flatten(1)
        return F.linear(
            z, state["convex_model.readout.weight"], state["convex_model.readout.bias"]
        )[:, 0]

    return state, lambda u: logits(widened(state, u), u), (channels, 8, 8)


def widened(state: dict[str, Tensor], like: Tensor) -> dict[str, Tensor]:
    return {name: value.to(like.dtype) for name, value in state.items()}


def phi(state: dict[str, Tensor], x: Tensor, doubled: bool = False) -> Tensor:
    u = x - state["normalize.means"].to(x.dtype)[:, None, None]
    return torch.cat((u, u.abs()), dim=1) if doubled else u


MODELS: dict[str, Callable[[], Made]] = {
    "ConvexMnist": lambda: perceptron(True, True),
    "no batch norm": lambda: perceptron(True, False),
    "no skips": lambda: perceptron(False, True),
    "one hidden layer": lambda: perceptron(True, True, (6,)),
    "affine": lambda: perceptron(True, False, ()),
    "ConvexFashionMnist": lambda: convnet(1, False),
    "ConvexCifar": lambda: convnet(3, True),
    "ConvexCifar without a map": lambda: convnet(3, False),
    "no blocks": lambda: convnet(1, True, depth=0),
}


@pytest.mark.parametrize("name", MODELS)
def test_margins_and_radii_are_theirs(name: str) -> None:
    state, logits, shape = MODELS[name]()
    doubled = "conv_1" in str(list(state)) and (
        state["convex_model.conv_1.weight"].shape[1] == 2 * shape[0]
    )
    model = fc.import_checkpoint(state).double()
    x = torch.rand(20, *shape, dtype=torch.float64)
    u = phi(state, x, doubled).requires_grad_()
    margin = logits(u) + state["class_balance"].double()
    assert torch.allclose(model(x), margin, atol=1e-4, rtol=1e-5)
    # Their certificate: margin over the dual norm of the gradient at the features, and the map's constant.
    (slope,) = torch.autograd.grad(margin.sum(), u)
    for p, dual, constant in ((1, math.inf, 2.0), (2, 2, math.sqrt(2)), (math.inf, 1, 1.0)):
        norm = torch.linalg.vector_norm(slope.flatten(1), dual, dim=1)
        theirs = (margin / norm / (constant if doubled else 1.0)).clamp_min(0)
        ours = torch.from_numpy(fc.certify(model, x, fc.Lp(p)).radius)
        # After a centring the library may do better; after (u, |u|) it is their formula.
        assert (ours >= theirs * (1 - 1e-4) - 1e-4).all()
        assert torch.allclose(ours, theirs.detach(), atol=1e-3, rtol=1e-3)


@given(st.integers(1, 4), st.lists(st.integers(1, 6), max_size=3), st.booleans(), st.booleans())
def test_every_perceptron_of_theirs_is_read(
    seed: int, widths: list[int], passthrough: bool, norms: bool
) -> None:
    torch.manual_seed(seed)
    state, logits, shape = perceptron(passthrough, norms, tuple(widths))
    x = torch.rand(3, *shape)
    margin = logits(phi(state, x).double()) + 0.25
    assert torch.allclose(fc.import_checkpoint(state)(x), margin, atol=1e-2, rtol=1e-4)


def test_a_checkpoint_of_lightning_survives_the_library(tmp_path: Path) -> None:
    state = MODELS["ConvexCifar"]()[0]
    content = {
        "epoch": 149,
        "pytorch-lightning_version": "1.9.5",
        "state_dict": state,
        "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.5)}},
        "hyper_parameters": {"convnet_params": {}, "apply_feature_map": True, "reg": 0.0075},
    }
    torch.save(content, tmp_path / "model.ckpt")
    drawn = torch.get_rng_state()
    model = fc.import_checkpoint(tmp_path / "model.ckpt")
    assert torch.equal(drawn, torch.get_rng_state())
    assert not model.training
    assert model.dtype == torch.float32
    x = torch.rand(4, 3, 8, 8)
    again = fc.load(fc.save_model(model, tmp_path / "saved"))
    assert isinstance(again, fc.FeatureConvexModel)
    assert torch.equal(again(x), model(x))


class Surprise:
    """Runs code where it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("code ran",))


def test_no_code_of_a_file_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state: dict[str, Any] = {**MODELS["ConvexMnist"]()[0], "hyper_parameters": Surprise()}
    torch.save(state, tmp_path / "model.ckpt")
    with pytest.raises(fc.UserError, match="run code from"):
        fc.import_checkpoint(tmp_path / "model.ckpt")
    assert "code ran" not in capsys.readouterr().out


NET = "convex_model."
FAULTS: dict[str, tuple[str, Callable[[dict[str, Any]], Any], str]] = {
    "no threshold": ("ConvexMnist", lambda s: s.pop("class_balance"), "no class_balance"),
    "no centring": (
        "ConvexMnist",
        lambda s: [s.pop(name) for name in list(s) if name.startswith("normalize")],
        "feature_map=",
    ),
    "no network": (
        "ConvexMnist",
        lambda s: [s.pop(name) for name in list(s) if name.startswith(NET)],
        "has no convex_model.W_z.0.weight",
    ),
    "a layer without bias": ("ConvexMnist", lambda s: s.pop(f"{NET}W_x.1.bias"), "W_x.1.bias"),
    "no batch norm in a block": (
        "ConvexCifar",
        lambda s: s.pop(f"{NET}blocks.1.bn.running_var"),
        "blocks.1.bn.running_var",
    ),
    "convolutional skips": (
        "ConvexCifar",
        lambda s: s.update({f"{NET}skips.0.weight": torch.ones(1)}),
        "unknown.*skips.0.weight",
    ),
    "an initial batch norm": (
        "ConvexMnist",
        lambda s: s.update({f"{NET}init_batchnorm.weight": torch.ones(1)}),
        "unknown.*init_batchnorm",
    ),
    "a negative weight": (
        "ConvexMnist",
        lambda s: s[f"{NET}W_z.1.weight"].neg_(),
        "hidden_layers.0.weight: a convex path",
    ),
    "a scale of zero": (
        "ConvexCifar",
        lambda s: s[f"{NET}bn_last.weight"].zero_(),
        "last_norm.weight: a convex path",
    ),
    "a negative variance": (
        "ConvexCifar",
        lambda s: s[f"{NET}bn_1.running_var"].neg_(),
        "negative variance",
    ),
    "a NaN": ("ConvexMnist", lambda s: s[f"{NET}W_x.0.bias"].fill_(math.nan), "NaN"),
    "a misshapen layer": (
        "ConvexMnist",
        lambda s: s.update({f"{NET}W_x.1.weight": torch.ones(3, 2)}),
        r"input_layers.1.weight have shape \(3, 2\), expected \(3, 16\)",
    ),
    "two numbers per row": (
        "ConvexMnist",
        lambda s: s.update(
            {
                f"{NET}W_z.2.weight": torch.ones(2, 3),
                f"{NET}W_x.2.weight": torch.ones(2, 16),
                f"{NET}W_x.2.bias": torch.ones(2),
            }
        ),
        "one number per row",
    ),
    "channels that fit no map": (
        "ConvexCifar",
        lambda s: s.update({"normalize.means": torch.ones(4)}),
        "one number per channel",
    ),
    "a stride": (
        "ConvexCifar",
        lambda s: s.update({"hyper_parameters": {"convnet_params": {"conv_1_stride": 2}}}),
        "conv_1_stride=2",
    ),
    "a list": ("ConvexMnist", lambda s: s.update({"state_dict": [1]}), "not a mapping"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_another_layout_is_refused_by_name(fault: str) -> None:
    name, spoil, message = FAULTS[fault]
    state: dict[str, Any] = dict(MODELS[name]()[0])
    spoil(state)
    hyper = state.pop("hyper_parameters", {})
    content = state if "state_dict" in state else {"state_dict": state, "hyper_parameters": hyper}
    with pytest.raises(fc.UserError, match=message):
        fc.import_checkpoint(content)


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "broken.ckpt").write_bytes(b"PK\x03\x04 and no more")
    torch.save([1, 2], tmp_path / "list.ckpt")
    for name, message in (
        ("missing.ckpt", "cannot be read"),
        ("broken.ckpt", "damaged"),
        ("list.ckpt", "holds a list"),
    ):
        with pytest.raises(fc.UserError, match=message):
            fc.import_checkpoint(tmp_path / name)


def test_a_map_of_ones_own_and_another_activation() -> None:
    state, _, shape = MODELS["ConvexMnist"]()
    state = {name: value for name, value in state.items() if not name.startswith("normalize")}
    phi = fc.features.Scale(2.0)
    model = fc.import_checkpoint(state, feature_map=phi, activation="leaky_relu:0.1")
    assert model.feature_map is phi
    assert fc.certify(model, torch.rand(5, *shape)).radius.shape == (5,)


def test_a_scaling_in_the_checkpoint_counts() -> None:
    state, _, shape = MODELS["ConvexFashionMnist"]()
    state["normalize.vars"] = torch.full((1,), 4.0)
    x = torch.rand(6, *shape)
    halved = fc.import_checkpoint(state)
    assert halved.feature_map.lipschitz(2) == 0.5
    mean = state["normalize.means"]
    state["normalize.vars"] = torch.ones(1)
    plain = fc.import_checkpoint(state)
    assert torch.allclose(halved(x), plain(mean + (x - mean) / 2), atol=1e-4)
