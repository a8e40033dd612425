"""What every page shares: its templates, its filters, how its files get inside it, how it is published."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from featureconvex.files import write_bytes, write_text
from featureconvex.report.folders import FIGURES_FOLDER, REPORT_FILE
from featureconvex.results.numbers import duration, percent, significant
from featureconvex.results.strict_json import jsonable

TEMPLATES = Path(__file__).parent / "templates"


def render(
    name: str,
    context: Mapping[str, Any],
    data: Any,
    own: Path = TEMPLATES,
    script: str | None = None,
) -> str:
    """A page as one string of HTML: styles, scripts and data inside, nothing outside.

    ``<name>.html.j2`` in the folder ``own`` extends ``page.html.j2``; ``<name>.js`` and ``<name>.css``
    beside it, where there are any, come after those that all pages share.

    Args:
        name: of the page's own files.
        context: for the template; a name that it lacks is an error.
        data: for the scripts, see :func:`featureconvex.results.strict_json.jsonable`.
        own: where the page's own files are.
        script: the name of another page whose script it shares; None: its own.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([own, TEMPLATES]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "significant": significant, "duration": duration}
    return environment.get_template(f"{name}.html.j2").render(
        **context,
        style=_inline(TEMPLATES / "page.css", own / f"{name}.css"),
        script=_inline(TEMPLATES / "charts.js", own / f"{script or name}.js"),
        # Part of the plotly package; it holds no closing script tag.
        plotly=Markup(get_plotlyjs()),
        data=jsonable(data),
    )


def publish(
    directory: Path, page: str, pictures: Mapping[str, bytes], drawn: Sequence[str]
) -> list[Path]:
    """Write figures and page into a results folder, each file replaced whole.

    Args:
        directory: of a run or a comparison.
        page: its report.
        pictures: the figures, by file name.
        drawn: patterns of file names: pictures of these names that are not drawn any more are removed.

    Returns:
        The paths written, the page last.
    """
    folder = directory / FIGURES_FOLDER
    for stale in (path for pattern in drawn for path in folder.glob(pattern)):
        if stale.name not in pictures:
            stale.unlink()
    for name, content in pictures.items():
        write_bytes(folder / name, content)
    write_text(directory / REPORT_FILE, page)
    return [*(folder / name for name in pictures), directory / REPORT_FILE]


def _inline(*paths: Path) -> Markup:
    """Some of the pages' own files, one after the other; they are ours and need no escaping."""
    texts = (path.read_text(encoding="utf-8") for path in paths if path.exists())
    return Markup("\n").join(map(Markup, texts))
