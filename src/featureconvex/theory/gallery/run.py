"""``featureconvex gallery``."""

from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from featureconvex.files import writable_folder, write_bytes
from featureconvex.progress import progress_bar
from featureconvex.report.plot_style import png_bytes
from featureconvex.theory.gallery import figures

PICTURES: dict[str, Callable[[], Figure]] = {
    "tangent.png": figures.tangent,
    "balls.png": figures.balls,
    "closed-form-and-tight.png": figures.closed_form_and_tight,
    "which-class.png": figures.which_class,
    "xor.png": figures.xor_repaired,
    "tasks.png": figures.tasks,
}


def gallery(out: Path, progress: bool = True) -> list[Path]:
    """Train the small models, draw every picture, and return the files."""
    folder = writable_folder(out)
    with progress_bar("gallery", len(PICTURES), progress) as tick:
        for name, draw in PICTURES.items():
            write_bytes(folder / name, png_bytes(draw()))
            tick(1, name)
    return [folder / name for name in PICTURES]
