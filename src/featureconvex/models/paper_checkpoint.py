"""Models trained with the code of the paper's authors, read from their checkpoints.

The code of arXiv 2302.01961 (github.com/spfrommer/asymmetric_convex_certification) keeps one file per
model, ``out/<data>-<experiment>/model/<name>/checkpoints/model.ckpt``, written by PyTorch Lightning. Its
``state_dict`` has

* ``class_balance``: the threshold, added to the logit;
* ``normalize.*``: the centring of the input, one mean per channel;
* ``convex_model.*``: the network, ``W_z``, ``W_x`` and ``bns`` of a perceptron, or ``conv_1``,
  ``blocks`` and ``readout`` of a convolutional network.

The map ``(u, |u|)`` has no weights: it is there if the network takes twice as many channels as there are
means.
"""

from collections.abc import Mapping
from math import isqrt
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from featureconvex.errors import ConvexityError, UserError
from featureconvex.features import AbsConcat, Center, Compose, FeatureMap, Scale
from featureconvex.models.model import FeatureConvexModel
from featureconvex.nn import ConvexConvNet, ConvexMLP

NET = "convex_model."
# Settings of the authors' constructors that leave no trace in the weights, and the value taken for each.
UNSEEN = {"conv_1_stride": 1, "conv_1_dilation": 1, "pool_size": 1, "init_batchnorm": False}


def import_checkpoint(
    checkpoint: str | Path | Mapping[str, Any],
    *,
    feature_map: FeatureMap | None = None,
    activation: str = "relu",
) -> FeatureConvexModel:
    """The model in a checkpoint of the paper's authors' code, ready to certify, attack and save.

    Its margin is their logit plus their ``class_balance``: positive for their sensitive class (label 0 in
    their data). Inputs are theirs, pixels in [0, 1] of shape (n, channels, height, width), before centring.
    The first layer of their perceptron, ``W_z u + W_x u + b``, becomes one matrix, so margins agree up to
    the rounding of that sum.

    Args:
        checkpoint: a ``model.ckpt``, or its content, or the ``state_dict`` alone.
        feature_map: in place of the map that is read from the checkpoint, for other models in their code.
        activation: the network's, which the checkpoint does not name (theirs are all ``"relu"``).

    Returns:
        The model in eval mode, in the checkpoint's precision, on the CPU.

    Raises:
        UserError: no such file, a file that holds more than numbers, or a layout other than theirs; the
            message names what is missing, left over or misshapen.
        ConvexityError: a negative weight where convexity needs none.

    >>> weights = {"convex_model.W_z.0.weight": torch.ones(1, 4), "convex_model.W_z.0.bias": torch.zeros(1),
    ...            "class_balance": torch.tensor(-0.5), "normalize.means": torch.tensor([0.5])}
    >>> import_checkpoint(weights)(torch.ones(1, 1, 2, 2)).tolist()
    [1.5]
    """
    content = _read(checkpoint)
    _check_settings(content.get("hyper_parameters", {}))
    left = _tensors(content.get("state_dict", content))
    tau = left.pop("class_balance", None)
    if tau is None or tau.numel() != 1:
        raise UserError(
            "the checkpoint has no class_balance, one number: the threshold of the authors' models"
        )
    means, own_map = _normalisation(left)
    read = _convnet if f"{NET}conv_1.weight" in left else _perceptron
    with torch.random.fork_rng(devices=[]):  # building draws weights; leave the caller's alone
        net, weights = read(left, activation)
    if left:
        raise UserError(
            f"the checkpoint has weights unknown in the authors' models: {', '.join(sorted(left))}"
        )
    net.to(next(iter(weights.values())).dtype)
    _fill(net, weights)
    phi = feature_map or _feature_map(own_map, means, net)
    return FeatureConvexModel(phi, net, tau.item()).eval()


def _read(checkpoint: str | Path | Mapping[str, Any]) -> Mapping[str, Any]:
    """The content of a file, loaded without running code from it."""
    if isinstance(checkpoint, Mapping):
        return checkpoint
    path = Path(checkpoint)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"no checkpoint: {path} cannot be read ({error.strerror})") from error
    except (UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise UserError(
            f"{path} is damaged, or holds more than numbers; that is not loaded, as it would run code from "
            'the file. Where it was made, torch.save(torch.load("model.ckpt")["state_dict"], "weights.pt") '
            "writes the numbers alone"
        ) from error
    if not isinstance(content, Mapping):
        raise UserError(
            f"{path} holds a {type(content).__name__}, expected a checkpoint or a state_dict"
        )
    return content


def _check_settings(hyper_parameters: Any) -> None:
    """Refuse settings that change the function and cannot be seen in the weights."""
    for group in ("mlp_params", "convnet_params"):
        given = hyper_parameters.get(group) or {}
        for name, usual in UNSEEN.items():
            if given.get(name, usual) != usual:
                raise UserError(
                    f"the checkpoint was trained with {name}={given[name]!r}; "
                    f"only {name}={usual!r} can be imported"
                )


def _tensors(state: Any) -> dict[str, Tensor]:
    """The weights by name, without the counters of batch norm."""
    if not isinstance(state, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    ):
        raise UserError("the checkpoint's state_dict is not a mapping from names to tensors")
    return {
        name: value.detach().cpu()
        for name, value in state.items()
        if not name.endswith("num_batches_tracked")
    }


def _take(left: dict[str, Tensor], name: str) -> Tensor:
    """Remove one tensor of the network and return it."""
    value = left.pop(NET + name, None)
    if value is None:
        raise UserError(
            f"the checkpoint has no {NET}{name}; expected a ConvexMnist, ConvexFashionMnist, ConvexCifar "
            "or ConvexMalimg of the authors' code"
        )
    return value


def _normalisation(left: dict[str, Tensor]) -> tuple[int, FeatureMap | None]:
    """How many means there are, and their map, ``(x - mean) / sqrt(variance) * weight + bias``."""
    if "normalize.means" not in left:
        return 0, None
    means = left.pop("normalize.means").double()
    count = means.numel()
    left.pop("normalize.sds", None)
    numbers = [
        left.pop(f"normalize.{name}", torch.full((count,), usual)).double()
        for name, usual in (("vars", 1.0), ("weight", 1.0), ("bias", 0.0))
    ]
    if any(number.shape != (count,) for number in (means, *numbers)):
        raise UserError("normalize.* must hold one number per channel each")
    variance, weight, bias = numbers
    shape = (count, 1, 1) if count > 1 else ()
    scale = weight / variance.sqrt()
    if bool((scale == 1).all() and (bias == 0).all()):
        return count, Center(means.reshape(shape))
    return count, Scale(scale.reshape(shape), (bias - means * scale).reshape(shape))


def _feature_map(own_map: FeatureMap | None, means: int, net: nn.Module) -> FeatureMap:
    """Their map, ``x - mean`` or ``(x - mean, |x - mean|)``: the network's channels tell."""
    if own_map is None:
        raise UserError(
            "the checkpoint has no normalize.means; say what is in front of the network with feature_map="
        )
    channels = net.in_channels if isinstance(net, ConvexConvNet) else means
    if channels not in (means, 2 * means):
        raise UserError(
            f"the network takes {channels} channels and there are {means} means; "
            "expected as many, or twice as many"
        )
    return own_map if channels == means else Compose(own_map, AbsConcat())


def _perceptron(left: dict[str, Tensor], activation: str) -> tuple[nn.Module, dict[str, Tensor]]:
    """The network of ``W_z``, ``W_x`` and ``bns``, and its weights in the names of :class:`ConvexMLP`."""
    passthrough, norms = f"{NET}W_x.0.weight" in left, f"{NET}bns.0.weight" in left
    first = _take(left, "W_z.0.weight")
    if passthrough:
        # Both see the input. One rounding: float64 holds the sum of two float32 numbers of like size.
        first = (first.double() + _take(left, "W_x.0.weight").double()).to(first.dtype)
    biases = "W_x" if passthrough else "W_z"
    weights = {
        "input_layers.0.weight": first,
        "input_layers.0.bias": _take(left, f"{biases}.0.bias"),
    }
    widths = [len(first)]
    for i in range(_count(left, "W_z.{}.weight", first=1)):
        weights[f"hidden_layers.{i}.weight"] = _take(left, f"W_z.{i + 1}.weight")
        weights[f"hidden_layers.{i}.bias"] = _take(left, f"{biases}.{i + 1}.bias")
        if passthrough:
            weights[f"input_layers.{i + 1}.weight"] = _take(left, f"W_x.{i + 1}.weight")
        if norms:
            weights |= _batch_norm(left, f"bns.{i}", f"norms.{i}")
        widths.append(len(weights[f"hidden_layers.{i}.bias"]))
    if widths.pop() != 1:
        raise UserError("the network of the checkpoint does not end in one number per row")
    options = {"passthrough": passthrough, "batch_norm": norms, "activation": activation}
    return ConvexMLP(first[0].numel(), widths, **options), weights  # type: ignore[arg-type]


def _convnet(left: dict[str, Tensor], activation: str) -> tuple[nn.Module, dict[str, Tensor]]:
    """The network of ``conv_1``, ``blocks`` and ``readout``, likewise for :class:`ConvexConvNet`."""
    depth = _count(left, "blocks.{}.conv.weight")
    layers = {"conv_1": "first_conv", "readout": "readout"}
    layers |= {f"blocks.{i}.conv": f"blocks.{i}.conv" for i in range(depth)}
    norms = {"bn_1": "first_norm", "bn_last": "last_norm"}
    norms |= {f"blocks.{i}.bn": f"blocks.{i}.norm" for i in range(depth)}
    weights = {
        f"{ours}.{kind}": _take(left, f"{theirs}.{kind}")
        for theirs, ours in layers.items()
        for kind in ("weight", "bias")
    }
    for theirs, ours in norms.items():
        weights |= _batch_norm(left, theirs, ours)
    first, readout = weights["first_conv.weight"], weights["readout.weight"]
    side = isqrt(readout.numel() // len(first))
    net = ConvexConvNet(
        first[0].numel() // first[0, 0].numel(),
        side,
        features=len(first),
        depth=depth,
        first_kernel=first.shape[-1],
        kernel=weights["blocks.0.conv.weight"].shape[-1] if depth else 1,
        activation=activation,
    )
    return net, weights


def _count(left: dict[str, Tensor], pattern: str, first: int = 0) -> int:
    """How many of ``pattern`` with ``first``, ``first + 1``, ... for ``{}`` there are."""
    count = 0
    while NET + pattern.format(first + count) in left:
        count += 1
    return count


def _batch_norm(left: dict[str, Tensor], theirs: str, ours: str) -> dict[str, Tensor]:
    names = ("weight", "bias", "running_mean", "running_var")
    return {f"{ours}.{name}": _take(left, f"{theirs}.{name}") for name in names}


@torch.no_grad()
def _fill(net: nn.Module, weights: dict[str, Tensor]) -> None:
    """Write the weights through the constraints, which refuse a negative one on a convex path."""
    for name, value in weights.items():
        owner, _, attribute = name.rpartition(".")
        layer = net.get_submodule(owner)
        target = getattr(layer, attribute)
        if value.shape != target.shape:
            raise UserError(
                f"the checkpoint's weights for {name} have shape {tuple(value.shape)}, "
                f"expected {tuple(target.shape)}"
            )
        if not torch.isfinite(value).all() or (attribute == "running_var" and (value < 0).any()):
            raise UserError(
                f"the checkpoint's weights for {name} have a NaN, an infinity or a negative variance"
            )
        buffer = attribute.startswith("running_")
        try:
            setattr(layer, attribute, value if buffer else nn.Parameter(value))
        except ConvexityError as error:
            raise ConvexityError(f"the checkpoint's weights for {name}: {error}") from error
