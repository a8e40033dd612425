import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from featureconvex.report.figures import FIGURES, draw_figures
from featureconvex.report.importance import step_name, strongest_features
from featureconvex.report.operating_points import thin
from featureconvex.report.pictures import encode_png, gradient_picture, picture
from featureconvex.report.plot_style import png_bytes
from featureconvex.results.examples import Examples, Specimen
from featureconvex.results.folder import Run, read_run


def _specimen(x: np.ndarray, gradient: np.ndarray) -> Specimen:
    return Specimen(index=0, radius=1.0, margin=1.0, x=x, gradient=gradient)


@pytest.mark.parametrize("kind", ["image", "table"])
def test_every_figure_is_a_picture_and_no_global_state_changes(
    kind: str, image_folder: Path, table_folder: Path
) -> None:
    before = mpl.get_backend(), dict(mpl.rcParams)
    run = read_run(image_folder if kind == "image" else table_folder)
    figures = draw_figures(run)
    missing = (
        {"certified_accuracy_std.png", "radius_histogram_std.png"}
        if kind == "image"
        else {"tradeoff.png"}
    )
    assert set(figures) == set(FIGURES) - missing
    for name in ("roc.png", "examples.png"):
        with Image.open(io.BytesIO(png_bytes(figures[name]))) as drawn:
            pixels = np.asarray(drawn.convert("L"))
        assert min(pixels.shape) > 300
        assert len(np.unique(pixels)) > 20
    assert (mpl.get_backend(), dict(mpl.rcParams)) == before


def test_runs_without_history_or_examples_lack_those_figures(image_folder: Path) -> None:
    run = read_run(image_folder)
    none = Examples(np.zeros(0, np.int64), np.zeros((0, 1, 4, 4)), np.zeros((0, 1, 4, 4)))
    bare = Run(run.rows, run.record | {"history": [], "tradeoff": []}, none)
    assert not {"training.png", "tradeoff.png", "examples.png"} & set(draw_figures(bare))


def test_infinite_radii_and_silent_detectors_can_be_drawn(image_folder: Path) -> None:
    run = read_run(image_folder)
    radii = {
        c.name: run.rows[c.name].where(run.rows["predicted"] == 0, np.inf) for c in run.columns
    }
    draw_figures(replace(run, rows=run.rows.assign(**radii)))
    silent = {c.name: 0.0 for c in run.columns} | {"predicted": 0, "margin": -1.0}
    draw_figures(replace(run, rows=run.rows.assign(**silent)))


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_pictures_keep_pixels_and_signs(channels: int) -> None:
    x = np.zeros((channels, 4, 6), dtype=np.uint8)
    x[:, 1, 2] = 255
    gradient = np.zeros((channels, 4, 6))
    gradient[0, 0, 0], gradient[0, 3, 5] = 1.0, -1.0
    drawn = picture(_specimen(x, gradient))
    assert drawn.shape == (4, 6, 3)
    assert drawn[1, 2].tolist() == [255] * 3
    assert drawn[0, 0].sum() == 0
    np.testing.assert_array_equal(drawn, picture(_specimen(x / 255, gradient)))
    red, _, blue = gradient_picture(_specimen(x, gradient))[0, 0].astype(int)
    assert red > blue  # orange: brightening raises the score
    red, _, blue = gradient_picture(_specimen(x, gradient))[3, 5].astype(int)
    assert blue > red  # purple: it lowers the score
    assert gradient_picture(_specimen(x, gradient))[1, 1].min() > 240


def test_a_large_picture_is_shrunk_and_a_flat_gradient_is_white() -> None:
    with Image.open(io.BytesIO(encode_png(np.zeros((512, 256, 3), np.uint8)))) as image:
        assert image.size == (96, 192)
    flat = gradient_picture(_specimen(np.zeros((1, 3, 3)), np.zeros((1, 3, 3))))
    assert flat.min() > 240


def test_features_are_ranked_by_their_pull_per_standard_deviation() -> None:
    specimen = _specimen(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, -0.1, 0.0, 0.5]))
    record: Any = {"feature_names": ["a", "b", "c", "d"]}
    assert [w.feature for w in strongest_features(specimen, record)] == ["a", "d", "b"]
    scaled = record | {"feature_std": [1.0, 100.0, 1.0, 1.0]}
    weights = strongest_features(specimen, scaled, most=2)
    assert [(w.feature, w.value, w.pull) for w in weights] == [("b", 2.0, -10.0), ("a", 1.0, 1.0)]
    constant = record | {"feature_std": [0.0, 100.0, 1.0, 1.0]}
    assert [w.feature for w in strongest_features(specimen, constant)] == ["b", "d"]
    assert step_name(record) == "raw unit"
    assert step_name(scaled) == "training standard deviation"


def test_thinning_keeps_both_ends_and_the_small_rates() -> None:
    rates = np.linspace(0, 1, 5001)
    kept = thin(rates)
    assert len(kept) <= 300
    assert kept[0] == 0
    assert kept[-1] == 5000
    assert (rates[kept] < 0.01).sum() > 20
