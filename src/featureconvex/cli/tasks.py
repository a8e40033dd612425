"""``featureconvex tasks``: what there is to run."""

import typer

from featureconvex.cli.options import AsJson, DataDir
from featureconvex.feedback import feedback


def tasks(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List every named task: data, sensitive class, size, where it was found or how to get it."""
    from featureconvex.data.task_list import described_tasks, task_lines

    if as_json:
        with feedback(False, as_json) as say:
            say(list, [], lambda: described_tasks(data_dir))
        return
    typer.echo("\n".join(task_lines(data_dir)))
