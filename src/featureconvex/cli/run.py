"""``featureconvex run``: train, calibrate, certify, evaluate, report."""

from pathlib import Path
from typing import Annotated

import typer

from featureconvex.cli.options import (
    RECIPE_NAMES,
    AsJson,
    DataDir,
    Device,
    Epochs,
    MultiClass,
    Out,
    Quiet,
    RecipeName,
    Seed,
    Sensitive,
    TargetFpr,
    TaskName,
)
from featureconvex.cli.outcome import tell
from featureconvex.cli.own_classes import class_sentences, is_own, refuse_with_own
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


def run(
    task: TaskName,
    out: Out,
    norm: Annotated[
        str | None,
        typer.Option(
            help="The norm whose certified radius is trained: 1, 2 or inf (default: 2; a table then keeps "
            "its columns as they are, for an attacker who pays for each)."
        ),
    ] = None,
    recipe: RecipeName = "default",
    temperature: Annotated[
        float | None,
        typer.Option(
            help="Trades clean accuracy (small) against radius (large), in units of the radius "
            "(default: chosen on held-out points)."
        ),
    ] = None,
    other_temperature: Annotated[
        float | None,
        typer.Option(
            help="The same for the other class, which only has to stay on its side (default: a fixed share "
            "of --temperature)."
        ),
    ] = None,
    target_fpr: TargetFpr = None,
    data_dir: DataDir = None,
    epochs: Epochs = None,
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
    counts: Annotated[
        str | None,
        typer.Option(
            "--bytes",
            help="Read the files of a folder as counts of their bytes (histogram), of n-grams in buckets "
            "(ngrams:2, ngrams:3:4096), or as a plot of their first bytes (plot:1024; plot:1024:16 in "
            "means of 16), whatever they are.",
        ),
    ] = None,
    count_map: Annotated[
        str | None,
        typer.Option(
            "--counts", help="log1p: train on logarithms of the counts, whose spread is large."
        ),
    ] = None,
    most_bytes: Annotated[
        int | None,
        typer.Option(
            help="Leave out larger files, here and when you certify: a status of their own.", min=1
        ),
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train, calibrate, certify, evaluate, and write a report.

    One class is sensitive, or a set of them; with --multi-class own each class is to stay what it is.

    Writes metrics.json, rows.parquet (one row per test point), figures/, report.html, model/ into --out.

    A run that was killed continues when the same command is given; a column of --keep is no feature.
    """
    from featureconvex.data import find_class_task, find_task
    from featureconvex.scalars import one_of

    # What can be wrong with a command line, before torch is loaded.
    one_of("recipe", recipe, RECIPE_NAMES)
    own_classes = is_own(multi_class, task)
    kept = tuple(keep or ())
    said = (kept, missing, schema, counts, most_bytes, written(sep, decimal, encoding, na))
    if own_classes:
        refuse_with_own(
            {
                "--sensitive": sensitive,
                "--target-fpr": target_fpr,
                "--other-temperature": other_temperature,
                "--recipe": None if recipe == "default" else recipe,
                "--counts": count_map,
            }
        )
        classes = read_first(find_class_task(task, label, *said), data_dir, out)
        from featureconvex.experiment.multi_class import ClassSettings, run_classes
        from featureconvex.norms import parse_norm

        own = ClassSettings(
            norm=parse_norm(norm or "2"),
            temperature=temperature,
            epochs=epochs,
            seed=seed,
            device=device,
            priced=norm is None,
        )
        with feedback(quiet, as_json) as say:
            report = run_classes(classes, out, own, data_dir)[-1]
            tell(say, out, report, lambda: class_sentences(out))
        return
    found = read_first(find_task(task, label, sensitive, *said), data_dir, out)
    from featureconvex.experiment import Settings
    from featureconvex.experiment import run as run_task
    from featureconvex.norms import parse_norm

    settings = Settings(
        norm=parse_norm(norm or "2"),
        priced=norm is None,
        recipe=recipe,
        temperature=temperature,
        target_fpr=target_fpr,
        epochs=epochs,
        seed=seed,
        device=device,
        other_temperature=other_temperature,
        counts=count_map,
    )
    with feedback(quiet, as_json) as say:
        report = run_task(found, out, settings, data_dir)[-1]
        tell(say, out, report, lambda: run_sentences(out))


def run_sentences(folder: Path) -> list[str]:
    """The two headline sentences of a run, and what the attacker of a schema has to pay."""
    from featureconvex.report.attacker import budget_sentences, outside_sentence
    from featureconvex.report.wording import headline
    from featureconvex.results.folder import read_run

    run = read_run(folder)
    review = run.review
    if review is None:
        return headline(run)[:2]
    outside = outside_sentence(review.get("outside", 0), review["flagged"])
    return [*headline(run)[:2], *budget_sentences(review), *filter(None, [outside])]
