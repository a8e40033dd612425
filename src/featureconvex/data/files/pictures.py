"""Decoding picture files into uint8 arrays; what cannot be decoded faithfully is refused by name."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from featureconvex.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}
)
GREY_MODES = frozenset({"1", "L", "LA"})
COLOUR_MODES = frozenset({"RGB", "RGBA", "P", "PA", "CMYK", "YCbCr", "LAB", "HSV"})

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Header:
    """What a picture file says about itself before it is decoded."""

    height: int
    width: int
    grey: bool


def read_header(path: Path) -> Header:
    """Size and colour of a picture.

    Raises:
        UserError: not a picture, one with several frames, or one with more than 8 bits a channel.
    """
    with _opened(path) as image:
        return Header(image.height, image.width, image.mode in GREY_MODES)


def read_pixels(path: Path, grey: bool) -> Pixels:
    """Decode a picture: uint8 (1, h, w) if ``grey``, else (3, h, w) in RGB order.

    Raises:
        UserError: as :func:`read_header`; also if the file is cut short or has transparent pixels.
    """
    with _opened(path) as image:
        if "A" in image.mode.removeprefix("LAB") or "transparency" in image.info:
            image = image.convert("RGBA")
            if image.getchannel("A").getextrema()[0] != 255:
                raise UserError(
                    f"{path} has transparent pixels, which have no one colour; "
                    "paste it on a background first"
                )
        if grey:
            return np.asarray(image.convert("L"))[None]
        return np.ascontiguousarray(np.moveaxis(np.asarray(image.convert("RGB")), -1, 0))


def stack(
    paths: Sequence[Path], read: Callable[[Path], Pixels], shape: tuple[int, int, int]
) -> Pixels:
    """Read many pictures of one shape into one array, in order, on all cores: uint8 (n, *shape)."""
    pixels = np.empty((len(paths), *shape), dtype=np.uint8)

    def fill(row: int) -> None:
        pixels[row] = read(paths[row])

    with ThreadPoolExecutor() as pool:
        for _ in pool.map(fill, range(len(paths))):
            pass
    return pixels


@contextmanager
def _opened(path: Path) -> "Iterator[Image]":
    from PIL import Image

    try:
        with Image.open(path) as image:
            if getattr(image, "n_frames", 1) > 1:
                raise UserError(f"{path} holds {image.n_frames} frames; save one picture per file")  # type: ignore[attr-defined]
            if image.mode not in GREY_MODES | COLOUR_MODES:
                raise UserError(
                    f"{path} has pixels of mode {image.mode}, not 8 bits a channel; convert it to "
                    "8 bits, or store each sample as a float .npy file in [0, 1]"
                )
            yield image
    except UserError:
        raise
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise UserError(
            f"{path} cannot be decoded as a picture ({error}); replace it or take it out"
        ) from error
