"""The program: its commands in the order of its help, and how it ends."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from featureconvex.cli.certify import certify
from featureconvex.cli.compare import compare
from featureconvex.cli.gallery import gallery
from featureconvex.cli.inspect import inspect
from featureconvex.cli.report import report
from featureconvex.cli.run import run
from featureconvex.cli.separability import separability
from featureconvex.cli.study import study
from featureconvex.cli.tasks import tasks
from featureconvex.cli.tradeoff import tradeoff
from featureconvex.errors import UserError

app = typer.Typer(
    name="featureconvex",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="One-sided certified robustness: train a detector and prove, for every input it flags, "
    "that no perturbation of a stated budget can make the flag go away.\n\n"
    "Start with:  featureconvex run mnist-mini-3-8 --out runs/digits",
)


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


for command in (
    tasks,
    run,
    report,
    inspect,
    tradeoff,
    compare,
    certify,
    separability,
    gallery,
    study,
):
    app.command()(command)


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
