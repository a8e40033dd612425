"""The trade-off between clean accuracy and radius: one run per temperature."""

from dataclasses import replace
from pathlib import Path

from featureconvex.data import Task
from featureconvex.errors import UserError
from featureconvex.experiment.output import output_folder
from featureconvex.experiment.run import run
from featureconvex.experiment.settings import Settings
from featureconvex.files import replacing, writable_folder, write_text
from featureconvex.norms import norm_name
from featureconvex.provenance import provenance
from featureconvex.report.folders import TRADEOFF_FILE, refuse_another_task, refuse_other_results
from featureconvex.results.folder import Run, read_run
from featureconvex.results.statistics.curves import median_radius
from featureconvex.results.statistics.detection import confusion
from featureconvex.results.strict_json import dump_json


def tradeoff(
    task: Task,
    out: Path,
    settings: Settings,
    temperatures: list[float],
    data_dir: Path | None = None,
    progress: bool = True,
) -> Path:
    """Run ``task`` at every temperature, below ``out``, and draw accuracy against median radius.

    Runs that are already there are kept, so a killed sweep continues.

    Returns:
        The figure ``tradeoff.png``; ``tradeoff.json`` beside it holds the numbers.

    Raises:
        UserError: no temperature; as :func:`.run`, where a run of another task or other settings is there.
    """
    if not temperatures:
        raise UserError("name at least one temperature, for example --temperatures 0.1,0.3,1")
    folder = writable_folder(out)
    refuse_other_results(folder, own="tradeoff")
    refuse_another_task(folder / TRADEOFF_FILE, task.name)
    asked = [
        (
            temperature,
            folder / f"temperature-{temperature:g}",
            replace(settings, temperature=temperature),
        )
        for temperature in dict.fromkeys(temperatures)
    ]
    for _, place, own in asked:
        if place.exists():
            # Refuses what another sweep left, before any training.
            output_folder(place, task.name, own.values())
    points = []
    for temperature, place, own in asked:
        if not (place / "report.html").exists():
            run(task, place, own, data_dir, progress)
        points.append({"temperature": temperature, **_summary(read_run(place))})
    text = dump_json(
        {
            "task": task.name,
            "norm": norm_name(settings.norm),
            "points": points,
            "provenance": provenance(),
        }
    )
    write_text(folder / TRADEOFF_FILE, text)
    return _draw(points, folder / "tradeoff.png", task.name, norm_name(settings.norm))


def _summary(found: Run) -> dict[str, float]:
    return {
        "clean_accuracy": confusion(found.rows).accuracy,
        "median_radius": median_radius(found.rows, found.headline.name) or 0.0,
    }


def _draw(points: list[dict[str, float]], path: Path, task: str, norm: str) -> Path:
    from matplotlib.figure import Figure

    from featureconvex.report.plot_style import as_written

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    radius = [point["median_radius"] for point in points]
    accuracy = [100 * point["clean_accuracy"] for point in points]
    axes.plot(radius, accuracy, "o-", color="#0072B2")
    for x, y, point in zip(radius, accuracy, points, strict=True):
        axes.annotate(f"T = {point['temperature']:g}", (x, y), (6, 4), textcoords="offset points")
    axes.set(xlabel=f"median certified {norm} radius", ylabel="clean accuracy (%)")
    axes.set_title(as_written(task))
    axes.grid(alpha=0.3)
    with replacing(path) as scratch:
        figure.savefig(scratch, format="png", dpi=150)
    return path
