"""``featureconvex separability``: is the data convexly separable?."""

from typing import Annotated

import typer

from featureconvex.cli.options import (
    AsJson,
    DataDir,
    Out,
    Quiet,
    Sensitive,
    TaskName,
)
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


def separability(
    task: TaskName,
    out: Out,
    split: Annotated[str, typer.Option(help="Whose points: train or test.")] = "train",
    features: Annotated[
        str,
        typer.Option(
            metavar="MAP",
            help="Ask about the features of a map: identity, abs-concat, scattering, or a saved model's.",
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
    schema: SchemaFile = None,
    missing: Missing = "refuse",
    sep: Separator = None,
    decimal: Decimal = None,
    encoding: Encoding = None,
    na: EmptyWords = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Ask whether the data is convexly separable, with a proof for every point.

    Writes separability.json, rows.parquet (one row per point: verdict, kind of proof, bounds of its
    distance to the other class's convex hull), combinations.json (exact weights of every point inside)
    and figures/.
    """
    from featureconvex.data import find_task

    form = written(sep, decimal, encoding, na)
    said = find_task(task, label, sensitive, tuple(keep or ()), missing, schema, None, None, form)
    found = read_first(said, data_dir)
    from featureconvex.norms import parse_norm
    from featureconvex.report.folders import SEPARABILITY_FILE
    from featureconvex.theory.separability.run import Settings
    from featureconvex.theory.separability.run import separability as ask
    from featureconvex.theory.separability.wording import sentences

    norm = None if distance is None else parse_norm(distance)
    settings = Settings(split, features, norm, proofs)
    with feedback(quiet, as_json) as say:
        result = ask(found, out, settings, data_dir, progress=True)
        say(lambda: sentences(result), [f"result: {out / SEPARABILITY_FILE}"], lambda: result)
