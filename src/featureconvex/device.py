"""Where to compute."""

import torch

from featureconvex.errors import UserError


def device(name: str) -> torch.device:
    """The device for ``"auto"`` (a GPU where there is one), ``"cpu"`` or ``"cuda"``.

    Raises:
        UserError: another word, or CUDA asked for where there is none.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise UserError(f"unknown device {name!r}; use auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("no CUDA device is available here; use device cpu or auto")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
