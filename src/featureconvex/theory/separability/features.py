"""The points after a feature map, as the proofs take them."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featureconvex.data import to_tensor
from featureconvex.errors import UserError
from featureconvex.features import AbsConcat, Center, Compose, FeatureMap, Identity, Scattering
from featureconvex.models.file import load_model

NAMED = ("identity", "abs-concat", "scattering")
BLOCK = 250


def parse_map(name: str, train: Tensor) -> FeatureMap:
    """The feature map that ``--features`` names.

    Args:
        name: one of ``identity``, ``abs-concat``, ``scattering``, or the path of a saved model.
        train: the training inputs, (n, ...): what the map centres on, and their shape.

    Raises:
        UserError: an unknown name, or a map that does not fit the inputs.
    """
    if name == "identity":
        return Identity()
    if name == "abs-concat":
        return Compose(Center(train.mean(dim=0)), AbsConcat())
    if name == "scattering":
        if train.ndim != 4:
            raise UserError("--features scattering is for images; this task has a table")
        channels, height, width = train.shape[1:]
        return Scattering((channels, height, width))
    path = Path(name)
    place = path / "model" if (path / "model" / "model.json").exists() else path
    if not place.exists():
        raise UserError(
            f"--features takes {', '.join(NAMED)} or the path of a saved model, got {name!r}"
        )
    return load_model(place)[0].feature_map


@torch.no_grad()
def mapped(phi: FeatureMap, x: NDArray[Any]) -> NDArray[Any]:
    """(n, ...) inputs as stored -> (n, d) features in float64; after the identity, as they are.

    Raises:
        UserError: the map is for inputs of another shape.
    """
    if isinstance(phi, Identity):
        return x.reshape(len(x), -1)
    double = phi.double().eval()
    parts = []
    for start in range(0, len(x), BLOCK):
        batch = to_tensor(x[start : start + BLOCK]).double()
        try:
            parts.append(double(batch).flatten(1).numpy())
        except RuntimeError as error:
            raise UserError(
                f"the feature map does not take inputs of shape {tuple(batch.shape[1:])}: {error}; "
                "use one that was trained on this task"
            ) from error
    return np.concatenate(parts)
