"""What every page shares: its templates' folder, its filters, and how its files get inside it."""

from collections.abc import Sequence
from pathlib import Path

import jinja2
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from featureconvex.results.numbers import duration, percent, significant

TEMPLATES = Path(__file__).parent / "templates"


def environment(folders: Sequence[Path] = ()) -> jinja2.Environment:
    """Templates of ``folders``, then this room's; a name that is missing is an error.

    Args:
        folders: searched first.
    """
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*folders, TEMPLATES]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"percent": percent, "significant": significant, "duration": duration}
    return made


def inline(*paths: Path) -> Markup:
    """Some of the pages' own files, one after the other; they are ours and need no escaping."""
    return Markup("\n").join(Markup(path.read_text(encoding="utf-8")) for path in paths)


def plotly_script() -> Markup:
    """plotly.js, which is part of the plotly package and holds no closing script tag."""
    return Markup(get_plotlyjs())
