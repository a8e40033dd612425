"""The command line: a view, no logic of its own.

Heavy imports happen inside the commands, so that ``--help`` answers at once.
"""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from featureconvex.errors import UserError
from featureconvex.feedback import feedback

app = typer.Typer(
    name="featureconvex",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="One-sided certified robustness: train a detector and prove, for every input it flags, "
    "that no perturbation of a stated budget can make the flag go away.\n\n"
    "Start with:  featureconvex run mnist-mini-3-8 --out runs/digits",
)

TaskName = Annotated[
    str,
    typer.Argument(
        metavar="TASK",
        help="A name from `featureconvex tasks`, a CSV or Parquet file (- for CSV on standard input), "
        "or a folder with one sub-folder of images or files per class.",
    ),
]
Out = Annotated[Path, typer.Option("--out", help="Folder for everything that is written.")]
DataDir = Annotated[
    Path | None,
    typer.Option(
        help="Folder with the data sets (default: FEATURECONVEX_DATA, else a cache folder)."
    ),
]
Norm = Annotated[str, typer.Option(help="The norm whose certified radius is trained: 1, 2 or inf.")]
Label = Annotated[str | None, typer.Option(help="The label column of a table of your own.")]
Sensitive = Annotated[
    str | None,
    typer.Option(
        help="The class an attacker wants to leave, in data of your own; several as 'A|B': the certificate "
        "is about staying among them."
    ),
]
Keep = Annotated[
    list[str] | None,
    typer.Option(help="A column of the table to copy beside the rows, such as an id; repeatable."),
]
Missing = Annotated[
    Literal["refuse", "drop"],
    typer.Option(help="Rows of your table with a gap: refuse the file, or drop the rows."),
]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
# Those of featureconvex.training.recipes, which loads torch.
RECIPE_NAMES = ("default", "fixed", "paper")
RecipeName = Annotated[
    str,
    typer.Option(
        help="default learns a nonexpansive feature map with the convex network, and trains the radius of "
        "one class; fixed learns no map and trains both classes alike; paper follows arXiv 2302.01961."
    ),
]
Epochs = Annotated[int | None, typer.Option(help="Training epochs (default: the recipe's).")]
Quiet = Annotated[
    bool, typer.Option("--quiet", help="Say nothing but errors and where the result is.")
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print the result as JSON in place of sentences.")
]
TargetFpr = Annotated[
    float | None,
    typer.Option(help="Calibrate for this false-positive rate instead of balancing the classes."),
]


def show_version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        from importlib.metadata import version as installed

        typer.echo(f"featureconvex {installed('featureconvex')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Options of the program itself."""


@app.command()
def tasks(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List every named task: data, sensitive class, size, where it was found or how to get it."""
    from featureconvex.data.registry import described_tasks, task_lines

    if as_json:
        with feedback(False, as_json) as say:
            say(list, [], lambda: described_tasks(data_dir))
        return
    typer.echo("\n".join(task_lines(data_dir)))


@app.command()
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
    keep: Keep = None,
    missing: Missing = "refuse",
    schema: Annotated[
        Path | None,
        typer.Option(help="What the columns of your table are, from `featureconvex inspect`."),
    ] = None,
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

    Writes metrics.json, rows.parquet (one row per test point), figures/, report.html, model/ into --out.

    A run that was killed continues when the same command is given; a column of --keep is no feature.
    """
    from featureconvex.data import find_task
    from featureconvex.scalars import one_of

    # What can be wrong with a command line, before torch is loaded.
    one_of("recipe", recipe, RECIPE_NAMES)
    kept = tuple(keep or ())
    found = find_task(task, label, sensitive, kept, missing, schema, counts, most_bytes)
    from featureconvex.experiment import Settings
    from featureconvex.experiment import run as run_task
    from featureconvex.norms import parse_norm
    from featureconvex.results.metrics import METRICS_FILE
    from featureconvex.results.strict_json import load_json

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
        places = [f"report: {report}", f"model: {out / 'model'}"]
        say(lambda: run_sentences(out), places, lambda: load_json(out / METRICS_FILE))


@app.command()
def report(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder of a run or of a comparison.")
    ],
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Rebuild numbers, tables, figures and report.html from the rows of DIR, in seconds."""
    from featureconvex.report.folders import COMPARISON_FILE, kind_of_folder
    from featureconvex.results.metrics import METRICS_FILE
    from featureconvex.results.strict_json import load_json

    # One of the two only: a comparison loads every method, a run none.
    if kind_of_folder(directory) == "compare":
        from featureconvex.comparison.report.write import write_comparison_report as rebuild

        numbers_file = COMPARISON_FILE
    else:
        from featureconvex.report.report import write_report as rebuild

        numbers_file = METRICS_FILE

    with feedback(quiet, as_json) as say:
        places = [f"report: {rebuild(directory)[-1]}"]
        say(list, places, lambda: load_json(directory / numbers_file))


@app.command()
def inspect(
    data: Annotated[
        Path, typer.Argument(metavar="DATA", help="A CSV or Parquet file, or a folder of classes.")
    ],
    label: Label = None,
    sensitive: Sensitive = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write a schema to edit, for `run --schema`.")
    ] = None,
    sep: Annotated[str | None, typer.Option(help="Between columns (default: found out).")] = None,
    decimal: Annotated[str | None, typer.Option(help="Decimal mark, . or , (likewise).")] = None,
    encoding: Annotated[str | None, typer.Option(help="Of the text (likewise).")] = None,
    na: Annotated[
        list[str] | None, typer.Option(help="A word for an empty cell; repeatable.")
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Look at your data: type, gaps, values and a guess of the role of every column; and write a schema.

    With --label it says what to expect before you train: which class suits being the sensitive one.
    """
    from featureconvex.data.inspection import (
        class_lines,
        inspect_folder,
        inspect_table,
        look_lines,
        look_values,
    )
    from featureconvex.files import writable_folder, write_text

    if out is not None and data.is_dir():
        raise UserError(f"--out is for the schema of a table, and {data} is a folder; leave it out")
    if quiet and not as_json and out is None:
        raise UserError("inspect --quiet has nothing to say without --out, a schema to write")
    if out is not None:
        writable_folder(out.parent)
    with feedback(quiet, as_json) as say:
        if data.is_dir():
            found = inspect_folder(data)
            say(lambda: class_lines(found), [], lambda: {"classes": found})
            return
        given = {"separator": sep, "decimal": decimal, "encoding": encoding}
        words = tuple(na) if na else None
        look, text = inspect_table(data, label, sensitive, missing=words, **given)
        expected: list[str] = []
        if label is not None and (as_json or not quiet):
            from featureconvex.theory.separability.expectation import expected_of_table

            expected = expected_of_table(data, text)
        if out is not None:
            write_text(out, text)
        say(
            lambda: [*look_lines(look), *expected],
            [] if out is None else [f"schema: {out}"],
            lambda: {**look_values(look), "expectation": expected, "schema": out and str(out)},
        )


@app.command()
def tradeoff(
    task: TaskName,
    out: Out,
    temperatures: Annotated[
        str, typer.Option(help="Temperatures to run, separated by commas, e.g. 0.1,0.3,1.")
    ],
    norm: Norm = "2",
    data_dir: DataDir = None,
    epochs: Epochs = None,
    seed: Seed = 0,
    device: Device = "auto",
    label: Label = None,
    sensitive: Sensitive = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Draw clean accuracy against certified radius, one run per temperature."""
    from featureconvex.data import find_task

    found = find_task(task, label, sensitive)
    from featureconvex.experiment import Settings
    from featureconvex.experiment import tradeoff as run_tradeoff
    from featureconvex.norms import parse_norm
    from featureconvex.results.strict_json import load_json

    settings = Settings(parse_norm(norm), epochs=epochs, seed=seed, device=device)
    values = numbers(temperatures, "--temperatures")
    with feedback(quiet, as_json) as say:
        figure = run_tradeoff(found, out, settings, values, data_dir)
        say(list, [f"figure: {figure}"], lambda: load_json(figure.with_suffix(".json")))


@app.command()
def compare(
    task: TaskName,
    out: Out,
    methods: Annotated[
        str | None,
        typer.Option(
            help="Methods separated by commas (default: all): feature-convex, smoothing-gaussian, "
            "smoothing-laplacian, smoothing-uniform, splitting, cayley, sll, linf-distance, "
            "alpha-beta-crown, interval, monotone, linear."
        ),
    ] = None,
    limit: Annotated[int, typer.Option(help="Use the first so many test points.")] = 1000,
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
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Fit the model and every baseline, certify the same test points, and compare.

    Writes comparison.json, rows.parquet (one row per method, setting and test point), figures/ and
    report.html into --out. A comparison that was killed continues when the same command is given
    again, and methods that are there already stay; a method that fails is reported with its reason, and
    the others stand. The exit status is 0 if any ran: comparison.json has the `reason` of a method that did
    not, and the settings that `failed`.
    """
    from featureconvex.data import find_task

    found = find_task(task, label, sensitive)
    from featureconvex.comparison import CompareSettings
    from featureconvex.comparison import compare as run_comparison
    from featureconvex.report.folders import COMPARISON_FILE
    from featureconvex.results.strict_json import load_json

    settings = CompareSettings(methods, limit, samples, epochs, seed, device)
    with feedback(quiet, as_json) as say:
        written = run_comparison(found, out, settings, data_dir)
        say(list, [f"report: {written[-1]}"], lambda: load_json(out / COMPARISON_FILE))


@app.command()
def certify(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A run's folder, its model/, or a saved model.")
    ],
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT...",
            help="Tables (.csv, .csv.gz, .parquet, .pq, a folder of them; - for CSV on standard input), "
            "arrays (.npy, .npz), images, or folders of files as in training.",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", help="The rows, .csv or .parquet; - for standard output.")
    ],
    norm: Annotated[
        list[str] | None,
        typer.Option(help="A norm, 1, 2, inf or any p >= 1; repeatable (default: 2)."),
    ] = None,
    threat: Annotated[
        list[str] | None,
        typer.Option(
            help="Another threat, repeatable: edits (the prices of the model's schema); append, insert or "
            "change (so many bytes of files; append:K for K or 0); l0 (changed coordinates) or patch:SIZE "
            "(a window), with --box, or in the ranges of your schema."
        ),
    ] = None,
    box: Annotated[
        tuple[float, float] | None,
        typer.Option(metavar="LO HI", help="Hold the attacker to this range in every coordinate."),
    ] = None,
    ranges: Annotated[
        list[str] | None,
        typer.Option(
            "--range",
            metavar="COLUMN=LO:HI",
            help="Hold the attacker to this range in one column of numbers; repeatable.",
        ),
    ] = None,
    training_range: Annotated[
        bool,
        typer.Option(
            "--training-range",
            help="Hold the attacker to the range that every column had in training.",
        ),
    ] = False,
    immutable: Annotated[
        str | None,
        typer.Option(
            help="Columns that cannot change: names or indices, separated by commas; a name with a comma "
            "is quoted as in a CSV file. A one-hot encoded column is all of its features."
        ),
    ] = None,
    increase_only: Annotated[
        str | None, typer.Option(help="Columns that may only grow, likewise.")
    ] = None,
    decrease_only: Annotated[
        str | None, typer.Option(help="Columns that may only shrink, likewise.")
    ] = None,
    level: Annotated[
        str | None,
        typer.Option(
            help="closed-form (the paper's), domain (knows the box and the columns), tight (optimised), "
            "or sound (holds against rounding too). Default: domain where the attacker is held to "
            "something, else closed-form."
        ),
    ] = None,
    iterations: Annotated[
        int | None,
        typer.Option(
            help="Rounds of level tight (default: 20); more where columns differ much in scale.",
            min=1,
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(
            "--base",
            "--rests-on",
            help="The level that level sound proves again: closed-form, domain (default) or tight.",
        ),
    ] = None,
    keep: Keep = None,
    cost: Annotated[
        str | None,
        typer.Option(
            help="Of one unit of a column, for norms: std (1 per training standard deviation) or schema."
        ),
    ] = None,
    slack: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="Places in files that the attacker may fill with any bytes: columns file (as rows name "
            "it), offset and length. The radius is all of a file's slack, or 0.",
        ),
    ] = None,
    jobs: Annotated[int, typer.Option(help="Processes that work at a time.", min=1)] = 1,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Certify your own inputs with a trained model, one row each, in bounded memory.

    Rows are kept in OUT.parts as they come; a job that was killed continues when the same command is given
    again. An input row or file that cannot be read is a row with status unreadable.
    """
    from featureconvex.certificates import Box, parse_threat
    from featureconvex.certificates.levels import parse_level
    from featureconvex.experiment import certify_files

    names = [*(norm or []), *(threat or [])]
    own = ("edits", "append", "insert", "change", "slack")
    try:
        threats = [
            text if text.partition(":")[0] in own else parse_threat(text) for text in names
        ] or None
    except UserError as error:
        raise UserError(f"{error}; or edits, and of files append, insert, change (:K)") from error
    ways = {
        **dict.fromkeys(columns(increase_only), 1),
        **dict.fromkeys(columns(decrease_only), -1),
    }
    if twice := set(columns(increase_only)) & set(columns(decrease_only)):
        raise UserError(
            f"{twice.pop()!r} is in --increase-only and in --decrease-only; a column that may do neither "
            "is --immutable"
        )
    held = box is not None or immutable is not None or bool(ways)
    domain = Box(*(box or (-inf, inf)), columns(immutable) or None, ways or None) if held else None
    held = held or bool(ranges) or training_range
    if level == "closed-form" and held:
        raise UserError(
            "level closed-form is blind to --box, --range, --training-range, --immutable, --increase-only "
            "and --decrease-only, its radius holds everywhere; use --level domain, or leave them out"
        )
    chosen = None
    if level is not None or base is not None or iterations is not None:
        chosen = parse_level(
            level or ("domain" if held else "closed-form"), base=base, iterations=iterations
        )
    with feedback(quiet, as_json) as say:
        summary = certify_files(
            model,
            inputs,
            out,
            threats,
            domain,
            chosen,
            tuple(keep or ()),
            progress=True,
            cost=cost,
            jobs=jobs,
            slack=slack,
            ranges=dict(map(column_range, ranges or ())),
            training_range=training_range,
        )
        # Standard output may hold the rows.
        aside = str(out) == "-"
        places = [] if aside and quiet else [f"rows: {out} ({summary.rows})"]
        say(lambda: summary.lines, places, lambda: {"rows_file": str(out), **summary.values}, aside)


@app.command()
def separability(
    task: TaskName,
    out: Out,
    split: Annotated[str, typer.Option(help="Whose points: train or test.")] = "train",
    features: Annotated[
        str,
        typer.Option(
            metavar="MAP",
            help="Ask behind a feature map: identity, abs-concat, scattering, or a saved model's.",
        ),
    ] = "identity",
    distance: Annotated[
        str | None,
        typer.Option(help="Refine the bounds of every distance to the hull: 1, 2 or inf."),
    ] = None,
    proofs: Annotated[
        bool, typer.Option(help="Write the hyperplane of every point, too (8 bytes a coordinate).")
    ] = False,
    data_dir: DataDir = None,
    label: Label = None,
    sensitive: Sensitive = None,
    keep: Keep = None,
    missing: Missing = "refuse",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Ask whether the data is convexly separable, with a proof for every point.

    Writes separability.json, rows.parquet (one row per point: verdict, kind of proof, bounds of its
    distance to the other class's convex hull), combinations.json (exact weights of every point inside)
    and figures/.
    """
    from featureconvex.data import find_task

    found = find_task(task, label, sensitive, tuple(keep or ()), missing)
    from featureconvex.norms import parse_norm
    from featureconvex.theory.separability.run import RESULT_FILE, Settings
    from featureconvex.theory.separability.run import separability as ask
    from featureconvex.theory.separability.wording import sentences

    norm = None if distance is None else parse_norm(distance)
    settings = Settings(split, features, norm, proofs)
    with feedback(quiet, as_json) as say:
        result = ask(found, out, settings, data_dir, progress=True)
        say(lambda: sentences(result), [f"result: {out / RESULT_FILE}"], lambda: result)


@app.command()
def gallery(out: Out, quiet: Quiet = False, as_json: AsJson = False) -> None:
    """Draw decision regions and certificates in two dimensions."""
    from featureconvex.theory.gallery import gallery as draw

    with feedback(quiet, as_json) as say:
        pictures = [str(path) for path in draw(out)]
        say(lambda: pictures, [f"pictures: {out}"], lambda: {"pictures": pictures})


@app.command()
def study(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="theorem, pairs, generalisation, lipschitz, ablations, overfitting, cascade or paper.",
        ),
    ],
    out: Out,
    quick: Annotated[bool, typer.Option(help="A small grid on bundled data, in seconds.")] = False,
    seed: Seed = 0,
    data_dir: DataDir = None,
    jobs: Annotated[int, typer.Option(help="Processes that work at a time.")] = 1,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Repeat an experiment of the paper, or answer one of its open questions.

    Writes NAME.json and NAME.png into --out, and one file per finished part: a study that was killed
    continues when the same command is given again.
    """
    from featureconvex.study.registry import check_study

    # Before torch is loaded.
    check_study(name)
    from featureconvex.study.run import run_study

    with feedback(quiet, as_json) as say:
        result = run_study(name, out, quick, seed, data_dir, jobs)
        places = [f"result: {out / f'{name}.json'}", f"figure: {out / f'{name}.png'}"]
        say(list, places, lambda: result)


def run_sentences(folder: Path) -> list[str]:
    """The two headline sentences of a run, and what the attacker of a schema has to pay."""
    from featureconvex.report.attacker import budget_sentences
    from featureconvex.report.wording import headline
    from featureconvex.results.folder import read_run

    run = read_run(folder)
    attacked = [] if run.review is None else budget_sentences(run.review)
    return [*headline(run)[:2], *attacked]


def numbers(text: str, option: str) -> list[float]:
    """Numbers separated by commas."""
    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise UserError(f"{option} takes numbers separated by commas, got {text!r}") from error


def column_range(text: str) -> tuple[str, tuple[float, float]]:
    """``COLUMN=LO:HI``; the name may have an equals sign itself."""
    name, _, ends = text.rpartition("=")
    low, _, high = ends.partition(":")
    try:
        found = float(low), float(high)
    except ValueError as error:
        raise UserError(f"--range takes COLUMN=LO:HI, such as links=0:50, got {text!r}") from error
    return name, found


def columns(text: str | None) -> list[str]:
    """Columns separated by commas; a name with a comma in it is quoted as in a CSV file."""
    import csv

    try:
        parts = next(csv.reader([text or ""], skipinitialspace=True, strict=True), [])
    except csv.Error as error:
        raise UserError(
            f"cannot read the columns {text}: {error}; separate names by commas, and quote a name with "
            'a comma or a quote in it as in a CSV file: "a,b",c'
        ) from error
    return [part.strip() for part in parts if part.strip()]


@contextmanager
def exit_codes() -> Iterator[None]:
    """2 with one clear line for an error of user or disk, 130 for Ctrl-C; the rest is our fault (1)."""
    try:
        yield
    except UserError as error:
        sys.stderr.write(f"featureconvex: {' '.join(str(error).split())}\n")
        raise SystemExit(2) from error
    except OSError as error:
        # A full disk, a missing permission, a file where a folder should be: nothing to mend in here.
        sys.stderr.write(f"featureconvex: {error}\n")
        raise SystemExit(2) from error
    except KeyboardInterrupt as error:
        sys.stderr.write(
            "featureconvex: interrupted; the same command continues where it stopped\n"
        )
        raise SystemExit(130) from error


def one_line(message: Warning | str, *_: Any, **__: Any) -> None:
    """A warning as a user reads it, without the line of code it comes from."""
    sys.stderr.write(f"featureconvex: {' '.join(str(message).split())}\n")


def main(arguments: list[str] | None = None) -> Any:
    """The entry point of the ``featureconvex`` command."""
    warnings.showwarning = one_line
    with exit_codes():
        return app(arguments)
