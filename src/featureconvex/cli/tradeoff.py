"""``featureconvex tradeoff``: clean accuracy against radius."""

from typing import Annotated

import typer

from featureconvex.cli.options import (
    AsJson,
    DataDir,
    Device,
    Epochs,
    Norm,
    Out,
    Quiet,
    Seed,
    Sensitive,
    TaskName,
    numbers,
)
from featureconvex.cli.tables import (
    Decimal,
    EmptyWords,
    Encoding,
    Label,
    Missing,
    SchemaFile,
    Separator,
    read_first,
    written,
)
from featureconvex.feedback import feedback


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
    schema: SchemaFile = None,
    missing: Missing = "refuse",
    sep: Separator = None,
    decimal: Decimal = None,
    encoding: Encoding = None,
    na: EmptyWords = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Draw clean accuracy against certified radius, one run per temperature."""
    from featureconvex.data import find_task

    form = written(sep, decimal, encoding, na)
    values = numbers(temperatures, "--temperatures")
    asked = find_task(task, label, sensitive, (), missing, schema, None, None, form)
    found = read_first(asked, data_dir)
    from featureconvex.experiment import Settings
    from featureconvex.experiment import tradeoff as run_tradeoff
    from featureconvex.norms import parse_norm
    from featureconvex.results.strict_json import load_json

    settings = Settings(norm=parse_norm(norm), epochs=epochs, seed=seed, device=device)
    with feedback(quiet, as_json) as say:
        figure = run_tradeoff(found, out, settings, values, data_dir)
        say(list, [f"figure: {figure}"], lambda: load_json(figure.with_suffix(".json")))
