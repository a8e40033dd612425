"""The pictures show what they say: checked on the models and the numbers behind them."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import featureconvex as fc
from featureconvex import cli
from featureconvex.theory.gallery import figures, run
from featureconvex.theory.gallery.drawing import margins
from featureconvex.theory.gallery.fit import absolute, accuracy, fit, identity
from featureconvex.theory.gallery.points import (
    COUNT,
    TASKS,
    Points,
    arch,
    disc_inside,
    disc_reversed,
    xor,
)


@pytest.mark.parametrize("draw", [*TASKS.values(), arch])
def test_tasks_are_balanced_and_within_the_picture(draw: Callable[[], Points]) -> None:
    x, sensitive = draw()
    assert x.shape == (COUNT, 2)
    assert abs(int(sensitive.sum()) - COUNT / 2) < COUNT / 8
    assert np.abs(x).max() < 1.75


def test_the_right_class_is_learnt_and_the_wrong_one_is_not() -> None:
    assert accuracy(fit(disc_inside(), epochs=75), disc_inside()) > 0.98
    assert accuracy(fit(disc_reversed(), epochs=75), disc_reversed()) < 0.75


def test_the_absolute_value_repairs_xor() -> None:
    assert accuracy(fit(xor(), identity, epochs=75), xor()) < 0.96
    assert accuracy(fit(xor(), absolute, epochs=75), xor()) > 0.98


def test_what_is_passed_is_convex_in_the_picture() -> None:
    model = fit(arch(), epochs=50)
    axis, values = margins(model, size=41)
    passed = np.argwhere(values <= 0)
    assert len(passed) > 20
    rng = np.random.default_rng(0)
    for a, b in rng.integers(0, len(passed), (200, 2)):
        (i, j), (k, m) = passed[a], passed[b]
        middle = torch.tensor([[(axis[j] + axis[m]) / 2, (axis[i] + axis[k]) / 2]]).float()
        with torch.no_grad():
            assert float(model(middle)) < 1e-5


def test_a_ball_of_the_picture_is_flagged_all_over() -> None:
    points = arch()
    model = fit(points, epochs=50)
    chosen = points[0][points[1]][:5]
    x = torch.from_numpy(chosen).float()
    turn = torch.linspace(0, 2 * math.pi, 400, dtype=torch.float64)
    circle = torch.stack([turn.cos(), turn.sin()], dim=1)
    for p in (1.0, 2.0, math.inf):
        unit = circle / torch.linalg.vector_norm(circle, ord=p, dim=1, keepdim=True)
        radius = fc.certify(model, x, fc.Lp(p), level="tight").radius
        for centre, r in zip(x, radius, strict=True):
            if r > 0:
                with torch.no_grad():
                    assert (model((centre + 0.999 * r * unit).float()) > 0).all()


def test_chosen_balls_lie_apart() -> None:
    x = np.array([[0.0, 0.0], [0.1, 0.0], [1.0, 1.0], [2.0, 2.0]])
    assert figures._apart(x, np.array([1.0, 2.0, np.inf, 0.0])) == [1]


def test_the_command_draws_every_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With models that took few steps: the drawing is under test, not the training."""
    monkeypatch.setattr(figures, "fit", partial(fit, epochs=1))
    with pytest.raises(SystemExit) as done:
        cli.main(["gallery", "--out", str(tmp_path)])
    assert not done.value.code
    assert {path.name for path in tmp_path.iterdir()} == set(run.PICTURES)
    for path in tmp_path.iterdir():
        picture = Image.open(path)
        assert picture.height > 300
        colours = picture.getcolors(picture.width * picture.height)
        assert colours is not None
        assert len(colours) > 50
