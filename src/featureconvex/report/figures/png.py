"""A figure as a file."""

import io

from matplotlib.figure import Figure

from featureconvex.report.plot_style import DPI


def png_bytes(figure: Figure) -> bytes:
    """The figure as PNG at 150 dots per inch."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, facecolor="white")
    return buffer.getvalue()
