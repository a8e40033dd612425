"""One look for every figure: canvas, axes, colours (Okabe and Ito 2008, safe for colour-blind readers)."""

import io
import warnings

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

BLUE, ORANGE, GREEN, PINK, SKY, RED = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
)
SERIES = (BLUE, ORANGE, GREEN, PINK)
LEVEL_COLOURS = {"closed-form": BLUE, "domain": ORANGE, "tight": GREEN, "sound": PINK}
LEVEL_DASHES = {"closed-form": "-", "domain": "--", "tight": "-.", "sound": ":"}
INK, FAINT = "#333333", "#DDDDDD"
DPI = 150


def canvas(rows: int, columns: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """A figure of ``width`` x ``height`` inches per panel, and its panels row by row."""
    figure = Figure(figsize=(width * columns, height * rows), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False)
    return figure, list(panels.flat)


def panels(count: int, columns: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """A figure with ``count`` panels, at most ``columns`` to a row."""
    across = min(count, columns)
    figure, places = canvas(-(-count // across), across, width, height)
    for spare in places[count:]:
        figure.delaxes(spare)
    return figure, places[:count]


def certified_axes(axes: Axes, top: float | None = None) -> None:
    """Certified accuracy upwards, in percent; radii from 0 to ``top``."""
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_ylim(0, 1.02)
    if top is not None:
        axes.set_xlim(0, top)


def png_bytes(figure: Figure) -> bytes:
    """The figure as PNG; letters that its font lacks are boxes, which one warning says."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        figure.savefig(buffer, format="png", dpi=DPI, facecolor="white")
    missing = [one for one in caught if str(one.message).startswith("Glyph ")]
    for one in caught:
        if one not in missing:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    if missing:
        warnings.warn(
            "figures show boxes for letters that matplotlib's font lacks; the tables of the report and its "
            "interactive charts have them",
            stacklevel=2,
        )
    return buffer.getvalue()


def as_written(text: object) -> str:
    """A text from outside (class, feature, file or task name) as matplotlib must get it.

    Between two dollar signs matplotlib reads formulas; escaped, each is drawn as it is.

    >>> print(as_written("$5 or $6"))
    \\$5 or \\$6
    """
    return str(text).replace("$", r"\$")


def plain(axes: Axes, x: str, y: str, title: str = "") -> None:
    """Label the axes, keep two spines and a faint grid."""
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    if title:
        axes.set_title(title, color=INK, fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
