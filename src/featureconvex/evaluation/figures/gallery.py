"""The most and the least robust examples: pictures with gradients, or the features that matter."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from featureconvex.evaluation.examples import Specimen, most_and_least
from featureconvex.evaluation.figures.style import INK, ORANGE, PINK, blank, canvas, plain
from featureconvex.evaluation.folder import Run
from featureconvex.evaluation.importance import step_name, strongest_features
from featureconvex.evaluation.numbers import significant
from featureconvex.evaluation.pictures import gradient_picture, picture
from featureconvex.evaluation.record import Record

_TABLE_EACH = 3


def gallery_figure(run: Run) -> Figure | None:
    """Examples of the headline's norm, most robust first, then least robust; None without any."""
    most, least = most_and_least(run.rows, run.examples, run.headline)
    if not most:
        return None
    if run.record["kind"] == "image":
        return _images(most, least)
    return _features(most[:_TABLE_EACH], least[:_TABLE_EACH], run.record)


def _images(most: list[Specimen], least: list[Specimen]) -> Figure:
    groups = [(name, group) for name, group in (("most", most), ("least", least)) if group]
    columns = len(most)
    figure, panels = canvas(2 * len(groups), columns, 1.25, 1.35)
    for axes in panels:
        blank(axes)
    for block, (name, group) in enumerate(groups):
        for i, specimen in enumerate(group):
            above = panels[2 * block * columns + i]
            below = panels[(2 * block + 1) * columns + i]
            above.imshow(picture(specimen), interpolation="nearest")
            above.set_title(f"r = {significant(specimen.radius)}", fontsize=9, color=INK)
            below.imshow(gradient_picture(specimen), interpolation="nearest")
        _side_label(panels[2 * block * columns], f"{name} robust")
        _side_label(panels[(2 * block + 1) * columns], "gradient")
    return figure


def _side_label(axes: Axes, text: str) -> None:
    axes.text(
        -0.08, 0.5, text, rotation=90, ha="right", va="center", fontsize=9, transform=axes.transAxes
    )


def _features(most: list[Specimen], least: list[Specimen], record: Record) -> Figure:
    groups = [(name, group) for name, group in (("most", most), ("least", least)) if group]
    columns = len(most)
    figure, panels = canvas(len(groups), columns, 4.2, 2.5)
    for spare in panels[columns + len(least) if least else columns :]:
        figure.delaxes(spare)
    for block, (name, group) in enumerate(groups):
        for i, specimen in enumerate(group):
            axes = panels[block * columns + i]
            weights = strongest_features(specimen, record)[::-1]
            labels = [f"{w.feature} = {significant(w.value)}" for w in weights]
            colours = [ORANGE if w.pull > 0 else PINK for w in weights]
            axes.barh(range(len(weights)), [w.pull for w in weights], color=colours)
            axes.set_yticks(range(len(weights)), labels, fontsize=8)
            axes.axvline(0, color=INK, lw=0.8)
            plain(axes, "", "", f"{name} robust: r = {significant(specimen.radius)}")
    figure.supxlabel(f"change of the margin per {step_name(record)}", fontsize=10, color=INK)
    return figure
