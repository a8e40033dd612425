"""What the pictures are made of: regions, points, balls."""

import math

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.patches import Circle, Patch, Polygon

from featureconvex.models.model import FeatureConvexModel
from featureconvex.report.plot_style import BLUE, INK, ORANGE
from featureconvex.theory.gallery.points import Floats, Points

EDGE = 1.75
"""The pictures show [-EDGE, EDGE] in both coordinates."""
GRID = 301
PASSED, FLAGGED = "#FCEFD5", "#D9E8F3"


@torch.no_grad()
def margins(
    model: FeatureConvexModel, edge: float = EDGE, size: int = GRID
) -> tuple[Floats, Floats]:
    """The axis (size,) and the margins on its square, (size, size), the second coordinate by row."""
    axis = np.linspace(-edge, edge, size)
    first, second = np.meshgrid(axis, axis)
    square = torch.from_numpy(np.column_stack([first.ravel(), second.ravel()])).to(model.dtype)
    return axis, model(square).reshape(size, size).numpy()


def region(axes: Axes, model: FeatureConvexModel) -> None:
    """The flagged and the passed side, and the boundary."""
    axis, values = margins(model)
    shades = ListedColormap([PASSED, FLAGGED])
    axes.imshow(
        values > 0, extent=(-EDGE, EDGE, -EDGE, EDGE), origin="lower", cmap=shades, vmin=0, vmax=1
    )
    if (values > 0).any() and (values <= 0).any():
        axes.contour(axis, axis, values, levels=[0.0], colors=INK, linewidths=1.4)


def scatter(axes: Axes, points: Points, size: float = 9) -> None:
    """Sensitive points blue, the others orange."""
    x, sensitive = points
    for mask, colour, marker in ((sensitive, BLUE, "o"), (~sensitive, ORANGE, "s")):
        axes.scatter(x[mask, 0], x[mask, 1], s=size, color=colour, marker=marker, lw=0)


def bare(axes: Axes, title: str) -> None:
    """A square without ticks."""
    axes.set_xlim(-EDGE, EDGE)
    axes.set_ylim(-EDGE, EDGE)
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(title, color=INK, fontsize=10)


def ball(
    axes: Axes, centre: Floats, radius: float, p: float, colour: str = INK, style: str = "-"
) -> None:
    """The outline of ``{x: ||x - centre||_p <= radius}``."""
    if not math.isfinite(radius) or radius <= 0:
        return
    look = {"fill": False, "edgecolor": colour, "linestyle": style, "linewidth": 1.3}
    if p == 2:
        axes.add_patch(Circle((float(centre[0]), float(centre[1])), radius, **look))
        return
    corners = [(1, 0), (0, 1), (-1, 0), (0, -1)] if p == 1 else [(1, 1), (-1, 1), (-1, -1), (1, -1)]
    axes.add_patch(Polygon(centre + radius * np.array(corners), closed=True, **look))


def sides() -> list[Patch]:
    """Handles of a legend."""
    return [
        Patch(facecolor=FLAGGED, edgecolor=INK, label="flagged"),
        Patch(facecolor=PASSED, edgecolor=INK, label="passed"),
        Patch(facecolor=BLUE, label="sensitive points"),
        Patch(facecolor=ORANGE, label="other points"),
    ]
