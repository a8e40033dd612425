"""The most and the least robust examples: pictures with gradients, or the features that matter."""

from matplotlib.figure import Figure

from featureconvex.report.importance import step_name, strongest_features
from featureconvex.report.pictures import gradient_picture, picture
from featureconvex.report.plot_style import INK, ORANGE, PINK, as_written, canvas, plain
from featureconvex.results.examples import Specimen, most_and_least
from featureconvex.results.folder import Run
from featureconvex.results.numbers import significant
from featureconvex.results.record import Record

_TABLE_EACH = 3
_GAP = 0.4


def gallery_figure(run: Run) -> Figure | None:
    """Examples of the headline's norm, most robust first, then least robust; None without any."""
    most, least = most_and_least(run.rows, run.examples, run.headline)
    if not most:
        return None
    if run.record["kind"] == "image":
        return _images(most, least)
    return _features(most[:_TABLE_EACH], least[:_TABLE_EACH], run.record)


def _images(most: list[Specimen], least: list[Specimen]) -> Figure:
    """One set of axes for all pictures: each input above its gradient, one block per group."""
    groups = [(name, group) for name, group in (("most", most), ("least", least)) if group]
    tall = most[0].x.shape[1] / most[0].x.shape[2]
    block = 2 * tall + _GAP
    figure, (axes,) = canvas(1, 1, 1.25 * len(most), 1.25 * block * len(groups))
    for place, (name, group) in enumerate(groups):
        top = -place * block
        for column, specimen in enumerate(group):
            for shown, above in (
                (picture(specimen), 0.0),
                (gradient_picture(specimen), tall + 0.05),
            ):
                box = (column, column + 0.95, top - above - 0.95 * tall, top - above)
                axes.imshow(shown, extent=box, interpolation="nearest")
            radius = f"r = {significant(specimen.radius)}"
            axes.text(column + 0.47, top + 0.06, radius, ha="center", fontsize=9, color=INK)
        for text, above in ((f"{name} robust", 0.5), ("gradient", 1.5)):
            y = top - above * tall
            axes.text(-0.06, y, text, rotation=90, ha="right", va="center", fontsize=9)
    axes.set_xlim(-0.25, len(most))
    axes.set_ylim(-len(groups) * block + 0.25, 0.25)
    axes.set_aspect("equal")
    axes.set_axis_off()
    return figure


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
            labels = [f"{as_written(w.feature)} = {significant(w.value)}" for w in weights]
            colours = [ORANGE if w.pull > 0 else PINK for w in weights]
            axes.barh(range(len(weights)), [w.pull for w in weights], color=colours)
            axes.set_yticks(range(len(weights)), labels, fontsize=8)
            axes.axvline(0, color=INK, lw=0.8)
            plain(axes, "", "", f"{name} robust: r = {significant(specimen.radius)}")
    figure.supxlabel(f"change of the margin per {step_name(record)}", fontsize=10, color=INK)
    return figure
