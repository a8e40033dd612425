"""Example inputs and their gradients as small colour images."""

import io
from typing import Any

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image

from featureconvex.results.examples import Specimen

DIVERGING = "PuOr_r"
_LARGEST = 192


def picture(specimen: Specimen) -> NDArray[np.uint8]:
    """The input as RGB (h, w, 3)."""
    return rgb(specimen.x)


def rgb(x: NDArray[Any]) -> NDArray[np.uint8]:
    """An image (c, h, w) as RGB (h, w, 3): one channel as grey, three as colour, any other number
    averaged.
    """
    unit = x.astype(np.float64) / 255 if x.dtype == np.uint8 else x.astype(np.float64)
    image = unit if len(unit) in (1, 3) else unit.mean(axis=0, keepdims=True)
    colours = np.broadcast_to(image, (3, *image.shape[1:])).transpose(1, 2, 0)
    return (colours.clip(0, 1) * 255).round().astype(np.uint8)


def gradient_picture(specimen: Specimen) -> NDArray[np.uint8]:
    """The gradient summed over channels, RGB (h, w, 3), each image on its own symmetric scale.

    Orange: brightening the pixel raises the score. Purple: it lowers the score. White: no effect.
    The scale ends at the 99.5th percentile of the magnitudes, so that one pixel cannot hide the rest.
    """
    total = specimen.gradient.astype(np.float64).sum(axis=0)
    magnitude = np.abs(total)
    end = float(np.quantile(magnitude, 0.995)) or float(magnitude.max()) or 1.0
    shade = np.asarray(colormaps[DIVERGING]((total / end).clip(-1, 1) / 2 + 0.5))
    colours: NDArray[np.uint8] = (shade[..., :3] * 255).round().astype(np.uint8)
    return colours


def encode_png(rgb: NDArray[np.uint8]) -> bytes:
    """PNG bytes; a picture larger than 192 pixels is shrunk to that."""
    image = Image.fromarray(rgb)
    image.thumbnail((_LARGEST, _LARGEST))
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
