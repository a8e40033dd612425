"""The pictures."""

import math

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from featureconvex.certificates import Certificate, Level, Lp, certify
from featureconvex.certificates.levels import Tight
from featureconvex.models.model import FeatureConvexModel
from featureconvex.norms import NORMS, norm_name
from featureconvex.report.plot_style import BLUE, GREEN, INK, ORANGE, PINK, canvas
from featureconvex.theory.gallery.drawing import EDGE, ball, bare, margins, region, scatter, sides
from featureconvex.theory.gallery.fit import absolute, accuracy, fit, identity, learned
from featureconvex.theory.gallery.points import (
    TASKS,
    Floats,
    Points,
    arch,
    disc_inside,
    disc_reversed,
    xor,
)

NORM_COLOURS = {1.0: PINK, 2.0: GREEN, math.inf: INK}
SIZE = 3.3


def which_class() -> Figure:
    """Where the convex class is the right one to choose, and where it is the wrong one."""
    figure, panels = _squares(1, 2, SIZE + 0.4, SIZE + 1.0)
    for axes, points, text in (
        (
            panels[0],
            disc_inside(),
            "right: the other class has a convex hull\nwithout a sensitive point",
        ),
        (
            panels[1],
            disc_reversed(),
            "wrong: the sensitive class lies within\nthe hull of the other",
        ),
    ):
        _panel(axes, fit(points), points, text)
    figure.legend(handles=sides(), loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return figure


def tasks() -> Figure:
    """Every task with the identity, ``(u, |u|)`` and a learned map."""
    maps = (("identity", identity), ("(u, |u|)", absolute), ("learned map", learned))
    figure, panels = _squares(len(maps), len(TASKS), 2.3, 2.6)
    for row, (name, make) in enumerate(maps):
        for column, (task, draw) in enumerate(TASKS.items()):
            points = draw()
            axes = panels[row * len(TASKS) + column]
            _panel(axes, fit(points, make), points, task if row == 0 else "", 4)
            if column == 0:
                axes.set_ylabel(name, color=INK, fontsize=10)
    figure.legend(handles=sides(), loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return figure


def xor_repaired() -> Figure:
    """XOR with the identity, ``(u, |u|)`` and a learned map, with certified balls in l2."""
    points = xor()
    figure, panels = _squares(1, 3, SIZE, SIZE + 1.0)
    for axes, make, text in (
        (panels[0], identity, "identity: the passed set is convex"),
        (panels[1], absolute, "(u, |u|): one fold at each axis"),
        (panels[2], learned, "a learned nonexpansive map"),
    ):
        model = fit(points, make)
        _panel(axes, model, points, text)
        chosen = _flagged(model, points)
        radius = _certified(model, chosen, 2.0, "closed-form").radius
        for place in _apart(chosen, radius):
            ball(axes, chosen[place], radius[place], 2.0, GREEN)
    handles = [*sides(), Line2D([], [], color=GREEN, label="certified in l2")]
    figure.legend(handles=handles, loc="outside lower center", ncols=5, frameon=False, fontsize=9)
    return figure


def balls() -> Figure:
    """Certified balls in the three norms and the exact distances: they touch the boundary."""
    points = arch()
    model = fit(points)
    chosen = _flagged(model, points)
    figure, panels = _squares(1, 3, SIZE, SIZE + 1.0)
    picked = _apart(chosen, _certified(model, chosen, 2.0, "tight").radius, 6)
    for axes, p in zip(panels, NORMS, strict=True):
        found = _certified(model, chosen[picked], p, Tight(iterations=300, tolerance=1e-4))
        _panel(axes, model, points, f"{norm_name(p)}: certified, and exact")
        for centre, radius, upper in zip(chosen[picked], found.radius, found.upper, strict=True):
            ball(axes, centre, upper, p, ORANGE, ":")
            ball(axes, centre, radius, p, NORM_COLOURS[p])
            axes.plot(*centre, "o", color=INK, ms=4)
    lines = [Line2D([], [], color=INK, label="certified (level tight)")]
    lines += [Line2D([], [], color=ORANGE, ls=":", label="distance to a point that is passed")]
    figure.legend(handles=[*sides(), *lines], loc="outside lower center", ncols=3, frameon=False)
    return figure


def closed_form_and_tight() -> Figure:
    """What the closed form leaves, and what the optimal minorant makes of it."""
    points = disc_inside()
    model = fit(points)
    chosen = _flagged(model, points)
    figure, (axes,) = _squares(1, 1, 4.4, 4.6)
    _panel(axes, model, points, "closed form against tight, l2")
    tight = _certified(model, chosen, 2.0, "tight").radius
    plain = _certified(model, chosen, 2.0, "closed-form").radius
    for place in _apart(chosen, tight, 6):
        ball(axes, chosen[place], plain[place], 2.0, BLUE)
        ball(axes, chosen[place], tight[place], 2.0, GREEN, "--")
        axes.plot(*chosen[place], "o", color=INK, ms=4)
    lines = [
        Line2D([], [], color=BLUE, label=f"closed form, median {np.median(plain):.2f}"),
        Line2D([], [], color=GREEN, ls="--", label=f"tight, median {np.median(tight):.2f}"),
    ]
    figure.legend(handles=lines, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure


def tangent() -> Figure:
    """The idea of the certificate: below a convex surface lies the tangent plane at the point."""
    points = disc_inside()
    model = fit(points)
    chosen = _flagged(model, points)
    place = int(np.argmin(np.abs(chosen - np.array([0.9, -0.9])).sum(axis=1)))
    x = torch.from_numpy(chosen[place][None]).to(model.dtype).requires_grad_()
    value = model(x)
    (slope,) = torch.autograd.grad(value.sum(), x)
    axis, surface = margins(model, size=61)
    first, second = np.meshgrid(axis, axis)
    shift = np.stack([first - chosen[place][0], second - chosen[place][1]])
    plane = float(value.detach()) + np.einsum("k,kij->ij", slope[0].double().numpy(), shift)
    figure, (flat,) = canvas(1, 1, 6.4, 5.0)
    figure.delaxes(flat)
    axes = figure.add_subplot(projection="3d", computed_zorder=False)
    low, top = float(surface.min()), float(surface.max())
    floor = low - 0.35 * (top - low)
    shown = np.where((plane > floor) & (plane < top), plane, np.nan)
    axes.plot_surface(first, second, shown, color=GREEN, alpha=0.45, lw=0)
    axes.plot_surface(
        first, second, surface, cmap="Blues", alpha=0.75, lw=0, vmin=low, vmax=1.6 * top
    )
    axes.contour(first, second, surface, levels=[0.0], colors=INK, linewidths=1.6, offset=floor)
    radius = float(_certified(model, chosen[place][None], 2.0, "closed-form").radius[0])
    turn = np.linspace(0, 2 * np.pi, 90)
    ring = chosen[place][:, None] + radius * np.array([np.cos(turn), np.sin(turn)])
    axes.plot(*ring, np.full(90, floor), color=GREEN, lw=1.6)
    centre = (float(chosen[place][0]), float(chosen[place][1]))
    axes.plot(
        [centre[0]] * 2, [centre[1]] * 2, [floor, float(value.detach())], ":", color=INK, lw=1
    )
    axes.plot(*([v] for v in centre), [float(value.detach())], "o", color=INK, ms=5)
    axes.set_zlim(floor, top)
    axes.set_xlim(-EDGE, EDGE)
    axes.set_ylim(-EDGE, EDGE)
    axes.view_init(22, -58)
    axes.set_zlabel("margin", color=INK)
    axes.set_title(
        "the tangent plane lies below the convex margin; where it is positive, the input stays flagged\n"
        "(on the floor: the boundary in black, the certified ball in green)",
        fontsize=9,
        color=INK,
    )
    return figure


def _squares(rows: int, columns: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """A canvas for square panels, with room for their titles, which the layout forgets."""
    figure, panels = canvas(rows, columns, width, height)
    engine = figure.get_layout_engine()
    assert isinstance(engine, ConstrainedLayoutEngine)
    engine.set(rect=(0, 0, 1, 1 - 0.25 / (rows * height)))
    return figure, panels


def _panel(
    axes: Axes, model: FeatureConvexModel, points: Points, title: str, size: float = 9
) -> None:
    region(axes, model)
    scatter(axes, points, size)
    share = f"{100 * accuracy(model, points):.0f} % right"
    bare(axes, f"{title}\n{share}" if title else share)


def _flagged(model: FeatureConvexModel, points: Points) -> Floats:
    """The sensitive points that are flagged."""
    x = points[0][points[1]]
    with torch.no_grad():
        margin = model(torch.from_numpy(x).to(model.dtype)).numpy()
    flagged: Floats = x[margin > 0]
    return flagged


def _certified(model: FeatureConvexModel, x: Floats, p: float, level: Level | str) -> Certificate:
    return certify(model, torch.from_numpy(x).to(model.dtype), Lp(p), level=level)


def _apart(x: Floats, radius: Floats, most: int = 7) -> list[int]:
    """Points with large balls that lie apart, so that a reader can tell them."""
    chosen: list[int] = []
    for place in np.argsort(-radius):
        near = any(np.linalg.norm(x[place] - x[other]) < 0.45 for other in chosen)
        if not near and 0 < radius[place] < np.inf and len(chosen) < most:
            chosen.append(int(place))
    return chosen
