"""``featureconvex compare``: every baseline beside ours."""

from typing import Annotated, Any

import typer

from featureconvex.cli.options import (
    AsJson,
    DataDir,
    Device,
    MultiClass,
    Out,
    Quiet,
    Seed,
    Sensitive,
    TaskName,
)
from featureconvex.cli.own_classes import is_own, refuse_with_own
from featureconvex.cli.tables import (
    Decimal,
    EmptyWords,
    Encoding,
    Keep,
    Label,
    Missing,
    SchemaFile,
    Separator,
    read_first,
    written,
)
from featureconvex.feedback import feedback


def compare(
    task: TaskName,
    out: Out,
    methods: Annotated[
        str | None,
        typer.Option(
            help="Methods separated by commas (default: all): feature-convex, smoothing-gaussian, "
            "smoothing-laplacian, smoothing-uniform, splitting, cayley, sll, linf-distance, "
            "alpha-beta-crown, interval, monotone, linear; with --multi-class own feature-convex, "
            "smoothing-gaussian, cayley, sll, linf-distance, linear."
        ),
    ] = None,
    settings: Annotated[
        str | None,
        typer.Option(
            help="Of each method only the settings that have these names and values, such as 'norm l2' or "
            "'share 1.0, asymmetry', or 'no head' for those without a name (default: all); a method "
            "without such a setting is left alone."
        ),
    ] = None,
    limit: Annotated[int, typer.Option(help="Use the first so many test points.")] = 1000,
    costly_limit: Annotated[
        int | None,
        typer.Option(
            help="Of these certify only the first so many by methods that sample or search for each "
            "certificate, smoothing and alpha-beta-crown (default: all)."
        ),
    ] = None,
    samples: Annotated[
        int, typer.Option(help="Noise samples per certificate, for smoothing.")
    ] = 100_000,
    epochs: Annotated[
        int | None, typer.Option(help="Training epochs of every method (default: its own).")
    ] = None,
    data_dir: DataDir = None,
    seed: Seed = 0,
    device: Device = "auto",
    label: Label = None,
    sensitive: Sensitive = None,
    multi_class: MultiClass = "auto",
    keep: Keep = None,
    missing: Missing = "refuse",
    schema: SchemaFile = None,
    sep: Separator = None,
    decimal: Decimal = None,
    encoding: Encoding = None,
    na: EmptyWords = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Fit the model and every baseline, certify the same test points, and compare.

    One class is sensitive, or a set of them; with --multi-class own each class is to stay what it is.

    Writes comparison.json, rows.parquet (one row per method, setting and test point), figures/ and
    report.html into --out. A comparison that was killed continues when the same command is given
    again, and methods that are there already stay; a method that fails is reported with its reason, and
    the others stand. The exit status is 0 if any ran: comparison.json has the `reason` of a method that did
    not, and the settings that `failed`.
    """
    from featureconvex.data import ClassTask, Task, find_class_task, find_task

    found: Task | ClassTask
    said: Any = (
        tuple(keep or ()),
        missing,
        schema,
        None,
        None,
        written(sep, decimal, encoding, na),
    )
    if is_own(multi_class, task):
        refuse_with_own({"--sensitive": sensitive})
        found = read_first(find_class_task(task, label, *said), data_dir)
    else:
        found = read_first(find_task(task, label, sensitive, *said), data_dir)
    from featureconvex.comparison import CompareSettings
    from featureconvex.comparison import compare as run_comparison
    from featureconvex.report.folders import COMPARISON_FILE
    from featureconvex.results.strict_json import load_json

    asked = CompareSettings(methods, limit, samples, epochs, seed, device, settings, costly_limit)
    with feedback(quiet, as_json) as say:
        report = run_comparison(found, out, asked, data_dir)[-1]
        table = load_json(out / COMPARISON_FILE)
        leading = [f"{norm}: {found['sentences'][0]}" for norm, found in table["ordering"].items()]
        say(lambda: leading, [f"report: {report}"], lambda: table)
