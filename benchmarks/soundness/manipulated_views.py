"""Other views of files, manipulated as much as certified: logarithms of counts, slack, plots.

    python benchmarks/soundness/manipulated_views.py [--files 40000]

As ``manipulated_files.py`` does for counts. Shared objects against compiled Python files; flagged held-out
shared objects are certified at the levels ``domain`` and ``sound``, and as many bytes as the larger of the
two certifies are appended, inserted, changed, or written into slack (here: 16 bytes of the longest run of
zeros), random ones and chosen ones. Not one file may pass. Writes ``results/manipulated_views.json``; exit
status 1 if any does.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import featureconvex as fc
from featureconvex.certificates.threats import FileThreat
from featureconvex.data.files.byte_counts import ByteCounts
from featureconvex.data.files.byte_plot import BytePlot
from featureconvex.data.files.slack import Run
from featureconvex.experiment.certifying.plots import OnPlot, Plots
from featureconvex.experiment.certifying.slack import certify_slack
from featureconvex.files import write_text
from featureconvex.models.model import FeatureConvexModel
from featureconvex.progress import progress_bar
from featureconvex.provenance import provenance
from featureconvex.results.strict_json import dump_json
from featureconvex.training.architectures import count_architecture, table_architecture
from featureconvex.training.fit import fit
from featureconvex.training.points import Points
from featureconvex.training.recipes import default
from manipulated_files import CAP, MOST, variants

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "results" / "manipulated_views.json"
COUNTS = (ByteCounts(), ByteCounts(2, 256))
PLOTS = (BytePlot(4096), BytePlot(2048, 16))
OPERATIONS: tuple[type[FileThreat], ...] = (fc.Append, fc.Insert, fc.Change)
LEVELS = ("domain", "sound")
HIDDEN, SLACK = (200, 50), 16

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]


class Files:
    """Contents, and which are the flagged shared objects of a model trained on three quarters of them."""

    def __init__(self, paths: dict[str, list[Path]]) -> None:
        self.paths = [path for part in paths.values() for path in part]
        self.contents = [np.fromfile(path, dtype=np.uint8) for path in self.paths]
        self.y = np.repeat([1, 0], [len(part) for part in paths.values()])
        self.test = np.arange(len(self.y)) % 4 == 0

    def trained(self, x: Floats, logarithms: bool) -> tuple[FeatureConvexModel, NDArray[np.intp]]:
        """A model for l1, and the test objects that it flags."""
        rows, labels = torch.from_numpy(x[~self.test]), torch.from_numpy(self.y[~self.test])
        build = count_architecture if logarithms else table_architecture
        architecture, cost = build(rows, HIDDEN, torch.device("cpu"))
        recipe = default(tuple(rows.shape), 1.0)
        model = fit(architecture, recipe, Points(rows, labels), cost=cost).model.double()
        objects = np.flatnonzero(self.test & (self.y == 1))
        flagged = margins(model, x[objects]) > 0
        return model, objects[flagged]


def margins(model: FeatureConvexModel, x: Floats) -> Floats:
    """Positive where a file is flagged."""
    with torch.no_grad():
        return np.asarray(model(torch.from_numpy(x)))


def worth(model: FeatureConvexModel, point: Floats) -> Floats:
    """The gradient of the margin at a row."""
    x = torch.from_numpy(point[None]).requires_grad_()
    (slope,) = torch.autograd.grad(model(x).sum(), x)
    return np.asarray(slope[0])


def padding(content: Bytes) -> tuple[Run, ...]:
    """The first bytes of the longest run of zeros, if it is long enough."""
    edges = np.flatnonzero(np.diff(np.concatenate(([1], content != 0, [1])).astype(np.int8)))
    if not len(edges):
        return ()
    lengths = edges[1::2] - edges[::2]
    first = int(edges[::2][lengths.argmax()])
    return ((first, first + SLACK),) if lengths.max() >= SLACK else ()


def tally(
    view: str,
    operation: str,
    radius: Floats,
    rows: NDArray[np.intp],
    before: Floats,
    make: Callable[[int, int], Floats],
) -> dict[str, Any]:
    """Manipulate every certified file: ``make(place, k)`` answers margins."""
    made, passed, nearest = 0, 0, np.inf
    with progress_bar(f"{view}, {operation}", len(rows)) as tick:
        for place in range(len(rows)):
            if radius[place] >= 1:
                left = make(place, int(min(radius[place], MOST))) / before[place]
                made, passed = made + len(left), passed + int((left <= 0).sum())
                nearest = min(nearest, float(left.min()))
            tick(1, "")
    line = {"view": view, "operation": operation, "files": len(rows)}
    line |= {"certified": int((radius >= 1).sum()), "median_certified": float(np.median(radius))}
    line |= {"manipulated": made, "passed": passed, "least_share_of_margin_left": nearest}
    print(json.dumps(line), flush=True)
    return line


def of_counts(files: Files, form: ByteCounts, each: int, logarithms: bool) -> list[dict[str, Any]]:
    """Operations after logarithms of counts, or slack after plain counts."""
    x = np.array([form(content) for content in files.contents])
    model, rows = files.trained(x, logarithms)
    before, rng = margins(model, x[rows]), np.random.default_rng(0)
    contents = [files.contents[row] for row in rows]
    view = f"{form.name}, log1p" if logarithms else form.name

    def operated(kind: type[FileThreat], place: int, k: int) -> Floats:
        point = worth(model, x[rows[place]])
        new = variants(kind, form, contents[place], point, k, each, rng)
        return margins(model, np.array([form(content) for content in new]))

    lines = []
    for kind in OPERATIONS if logarithms else ():
        found = [
            fc.certify(model, x[rows], kind(form.ngram), level=level).radius for level in LEVELS
        ]
        radius = np.max(found, axis=0)
        lines.append(
            tally(
                view,
                kind.__name__,
                radius,
                rows,
                before,
                lambda place, k, kind=kind: operated(kind, place, k),  # type: ignore[misc]
            )
        )
    runs = [padding(content) for content in contents]
    paths = [files.paths[row] for row in rows]
    found = [certify_slack(model, x[rows], paths, runs, form, lv)[0].radius for lv in LEVELS]
    slack = np.max(np.where(np.isinf(found), 0.0, found), axis=0)

    def filled(place: int, _: int) -> Floats:
        made = []
        for turn in range(each):
            content = contents[place].copy()
            for first, end in runs[place]:
                content[first:end] = rng.integers(0, 256, end - first if turn % 3 == 0 else 1)
            made.append(form(content))
        return margins(model, np.array(made))

    return [*lines, tally(view, "Slack", slack, rows, before, filled)]


def of_plots(files: Files, form: BytePlot, each: int) -> list[dict[str, Any]]:
    """Appended and changed bytes of plots."""
    x = np.array([form(content) for content in files.contents])
    model, rows = files.trained(x, False)
    before, rng = margins(model, x[rows]), np.random.default_rng(0)
    contents = [files.contents[row] for row in rows]
    sizes = np.array([len(content) for content in contents])
    lines = []
    for name in ("append", "change"):
        found = [
            Plots(model, form, x[rows], sizes, level).certify(OnPlot(name)).radius
            for level in LEVELS
        ]

        def operated(place: int, k: int, name: str = name) -> Floats:
            slope, made = worth(model, x[rows[place]]), []
            content = contents[place]
            by_byte = np.repeat(slope, form.window)
            for turn in range(each):
                if name == "append":
                    tail = rng.integers(0, 256, k).astype(np.uint8)
                    ahead = by_byte[len(content) : len(content) + k]
                    if turn % 2:  # white where that lowers the margin, black elsewhere
                        tail[: len(ahead)] = np.where(ahead < 0, 255, 0)
                    made.append(form(np.concatenate((content, tail))))
                    continue
                head = min(len(content), form.length)
                new, many = content.copy(), min(k, head)
                worst = np.argsort(-np.abs(by_byte[:head]))[:many]
                places = worst if turn % 2 else rng.permutation(head)[:many]
                new[places] = np.where(by_byte[places] < 0, 255, 0)
                made.append(form(new))
            return margins(model, np.array(made))

        radius = np.max(found, axis=0)
        lines.append(tally(form.name, name.capitalize(), radius, rows, before, operated))
    return lines


def main() -> int:
    """Manipulate and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=40_000, help="about so many in all")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    from examples.work import binaries

    paths = {}
    for kind, suffix in (("so", ".so"), ("pyc", ".pyc")):
        found = [path for path in binaries.found(suffix, 10**6) if path.stat().st_size <= CAP]
        paths[kind] = found[:: max(1, len(found) // 400)]
    files = Files(paths)
    each = -(-options.files // (14 * len(files.y[files.test & (files.y == 1)])))
    lines = []
    for form in COUNTS:
        lines += of_counts(files, form, each, logarithms=True)
        lines += of_counts(files, form, each, logarithms=False)
    for plot in PLOTS:
        lines += of_plots(files, plot, each)
    record = {"lines": lines, "manipulated": sum(line["manipulated"] for line in lines)}
    record |= {"passed": sum(line["passed"] for line in lines), "provenance": provenance()}
    write_text(RESULT, dump_json(record))
    print(f"{record['manipulated']} files, {record['passed']} of them passed")
    return 1 if record["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
