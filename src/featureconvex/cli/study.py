"""``featureconvex study``: the paper's experiments and open questions."""

from typing import Annotated

import typer

from featureconvex.cli.options import AsJson, DataDir, Out, Quiet, Seed
from featureconvex.feedback import feedback
from featureconvex.study.registry import STUDIES, check_study


def study(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help=f"One of {', '.join(STUDIES)}."),
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

    Writes NAME.json and NAME.png into --out, a folder of this study alone, and one file per finished part:
    a study that was killed continues when the same command is given again.
    """
    # Before torch is loaded.
    check_study(name)
    from featureconvex.study.run import run_study

    with feedback(quiet, as_json) as say:
        result = run_study(name, out, quick, seed, data_dir, jobs)
        places = [f"result: {out / f'{name}.json'}", f"figure: {out / f'{name}.png'}"]
        say(list, places, lambda: result)
