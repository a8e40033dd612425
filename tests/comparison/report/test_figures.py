import io

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from tests.comparison.comparisons import MADE_UP, synthetic_comparison

from featureconvex.comparison.report.line_figures import draw_comparison, gallery_figure
from featureconvex.comparison.report.lines import method_lines
from featureconvex.report.plot_style import png_bytes
from featureconvex.results.numbers import percent

EVERY = {
    "certified_l1.png",
    "certified_l2.png",
    "certified_linf.png",
    "settings.png",
    "levels.png",
}


def legend(figure: Figure) -> list[str]:
    """The texts of the lines' legend; the other one is the key."""
    drawn, _ = figure.legends
    return [text.get_text() for text in drawn.get_texts()]


def test_every_figure_is_a_picture_and_no_global_state_changes() -> None:
    before = mpl.get_backend(), dict(mpl.rcParams)
    names = ["feature-convex", "smoothing-gaussian", "cayley"]
    figures = draw_comparison(synthetic_comparison(names, n=60).derive())
    assert set(figures) == EVERY
    for name in ("certified_l2.png", "levels.png"):
        with Image.open(io.BytesIO(png_bytes(figures[name]))) as drawn:
            pixels = np.asarray(drawn.convert("L"))
        assert min(pixels.shape) > 300
        assert len(np.unique(pixels)) > 20
    assert (mpl.get_backend(), dict(mpl.rcParams)) == before


def test_a_line_per_method_with_its_clean_accuracy_and_conversion() -> None:
    tables = synthetic_comparison(n=200).derive()
    texts = legend(draw_comparison(tables)["certified_l2.png"])
    assert len(texts) == len(MADE_UP)
    for line in method_lines(tables, "l2"):
        words = f", {line.setting}" if line.setting else ""
        converted = " (converted)" if 2.0 not in MADE_UP[line.method][0] else ""
        assert f"{line.name}{words}: {percent(line.clean_accuracy)}{converted}" in texts


def test_the_lines_are_the_curves() -> None:
    tables = synthetic_comparison(["linear", "cayley"], n=60).derive()
    (axes,) = draw_comparison(tables)["certified_l2.png"].axes
    for line, drawn in zip(method_lines(tables, "l2"), axes.get_lines(), strict=True):
        y = np.asarray(drawn.get_ydata())
        np.testing.assert_array_equal(y, line.curve["accuracy"][: len(y)])
        assert not line.curve["accuracy"][len(y) :].any()


def test_looks_tell_guarantees_and_conversion_apart() -> None:
    tables = synthetic_comparison(n=60).derive()
    figures = draw_comparison(tables)
    (axes,) = figures["certified_l1.png"].axes
    lines = dict(zip([x.method for x in method_lines(tables, "l1")], axes.get_lines(), strict=True))
    patterns = {
        name: str(lines[name]._unscaled_dash_pattern)  # type: ignore[attr-defined]
        for name in ("linear", "smoothing-uniform", "cayley", "smoothing-gaussian")
    }
    assert len(set(patterns.values())) == 4
    assert len({(x.get_color(), x.get_marker()) for x in lines.values()}) == len(lines)
    levels = figures["levels.png"].axes[0].get_lines()
    filled = [str(x.get_markerfacecolor()) != "white" for x in levels]
    assert filled == [False, False, True, False]
    key = [text.get_text() for text in figures["levels.png"].legends[0].get_texts()]
    assert "filled markers: floating-point sound" in key


def test_settings_are_drawn_in_native_norms_beside_the_reference() -> None:
    names = ["feature-convex", "smoothing-laplacian", "splitting", "linear"]
    panels = draw_comparison(synthetic_comparison(names, n=60).derive())["settings.png"].axes
    assert [axes.get_title() for axes in panels] == [
        *(f"feature-convex, {norm}" for norm in ("l1", "l2", "linf")),
        "smoothing laplacian, l1",
        "smoothing laplacian, linf",
        "splitting, l1",
    ]
    assert [len(axes.get_lines()) for axes in panels] == [4, 4, 4, 5, 5, 5]
    for axes in panels:
        thick = [line.get_linewidth() for line in axes.get_lines()[:4]]
        assert thick.count(max(thick)) == 1


@pytest.mark.parametrize("name", ["feature-convex", "smoothing-uniform", "linear"])
def test_one_method_only_and_infinite_radii(name: str) -> None:
    figures = draw_comparison(synthetic_comparison([name], n=60, infinite=True).derive())
    missing = {"linear": {"settings.png", "levels.png"}, "smoothing-uniform": {"levels.png"}}
    assert set(figures) == EVERY - missing.get(name, set())
    png_bytes(figures["certified_linf.png"])


def test_failed_methods_have_no_line() -> None:
    tables = synthetic_comparison(["linear", "cayley"], ["cayley"], n=60).derive()
    assert len(legend(draw_comparison(tables)["certified_l2.png"])) == 1
    nothing = synthetic_comparison(["linear", "cayley"], ["cayley", "linear"], n=60).derive()
    assert draw_comparison(nothing) == {}


def test_a_gallery_has_a_panel_per_task_and_norm_and_names_each_method_once() -> None:
    many = [synthetic_comparison(n=60).derive(), synthetic_comparison(["linear"], n=60).derive()]
    figure = gallery_figure(many)
    assert len(figure.axes) == 6
    titles = [many[0]["methods"][name]["title"] for name in MADE_UP]
    assert legend(figure) == titles
    for k, axes in enumerate(figure.axes):
        tables, norm = many[k // 3], ("l1", "l2", "linf")[k % 3]
        lines = method_lines(tables, norm)
        assert len(axes.get_lines()) == len(lines)
        assert tables["task"] in axes.get_title()
        assert norm in axes.get_title()
    for handle in figure.legends[0].get_lines():
        assert handle.get_linestyle() == "-"
