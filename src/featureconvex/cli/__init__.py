"""The command line: a view, no logic of its own; one file for each command.

Heavy imports happen inside the commands, so that ``--help`` answers at once.
"""

from featureconvex.cli.program import app, main

__all__ = ["app", "main"]
