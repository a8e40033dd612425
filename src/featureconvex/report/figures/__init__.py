"""Static figures (PNG) of a run, drawn without pyplot so that no global state changes."""

from featureconvex.report.figures.draw import FIGURES, draw_figures
from featureconvex.report.figures.png import png_bytes

__all__ = ["FIGURES", "draw_figures", "png_bytes"]
