"""What a run tells in the end."""

from collections.abc import Callable
from pathlib import Path

from featureconvex.feedback import Say


def tell(say: Say, out: Path, report: Path, sentences: Callable[[], list[str]]) -> None:
    """What came of a run, and where it is."""
    from featureconvex.results.metrics import METRICS_FILE
    from featureconvex.results.strict_json import load_json

    places = [f"report: {report}", f"model: {out / 'model'}"]
    say(sentences, places, lambda: load_json(out / METRICS_FILE))
