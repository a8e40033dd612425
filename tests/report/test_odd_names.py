"""Texts from outside reach figures and page as they are, whatever they mean to matplotlib or HTML."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib.text import Text

from featureconvex.report.figures import draw_figures
from featureconvex.report.plot_style import canvas, png_bytes
from featureconvex.report.report import render_report
from featureconvex.results.folder import read_run

ODD = r"$\frac{$ f[0]<0> {{ 7 }} %{y} \$ </script> _"


@pytest.fixture
def odd(
    tmp_path: Path,
    make_rows: Callable[..., pd.DataFrame],
    make_record: Callable[..., dict[str, Any]],
    make_folder: Callable[..., Path],
) -> Path:
    names = [f"{ODD}{number}" for number in range(5)]
    record = make_record(
        "table", task=ODD, sensitive_name=f"a {ODD}", other_name=f"b {ODD}", feature_names=names
    )
    return make_folder(tmp_path / "run", make_rows(table=True), record)


def test_figures_draw_every_text_as_it_is_written(odd: Path) -> None:
    shown = []
    for figure in draw_figures(read_run(odd)).values():
        png_bytes(figure)
        for text in figure.findobj(Text):
            assert isinstance(text, Text)
            drawn, formula = text._preprocess_math(text.get_text())  # type: ignore[attr-defined]
            assert not formula or ODD[:3] not in text.get_text()
            shown.append(drawn)
    for name in (f"a {ODD}", f"b {ODD}", f"{ODD}0"):
        assert any(name in text for text in shown), name


def test_the_page_shows_every_text_as_it_is_written(odd: Path) -> None:
    page = render_report(read_run(odd))
    own = page.partition('<script type="application/json"')[0]
    assert "f[0]<0>" not in own
    assert "f[0]&lt;0&gt; {{ 7 }} %{y}" in own
    assert "</script>" not in own


def test_letters_without_a_glyph_are_one_warning_in_words() -> None:
    figure, (axes,) = canvas(1, 1, 2.0, 2.0)
    axes.set_title("\u65e5\u672c\u8a9e")
    with pytest.warns(UserWarning, match="figures show boxes") as caught:
        png_bytes(figure)
    assert len(caught) == 1
