"""Configuration of the documentation: ``make docs`` builds it into ``build/docs``, without a network."""

import re
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx

import featureconvex

project = "featureconvex"
author = "The featureconvex developers"
project_copyright = author
version = release = featureconvex.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"featureconvex {release}"
html_show_sourcelink = False
html_math_renderer = "mathml"

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_attr_annotations = False

# Names of other projects, and of parts of this one that have no page: nothing here to link to.
nitpick_ignore_regex = [
    (r"py:.*", r"(torch|np|numpy|npt|pd|pandas|nn|sklearn|collections|pathlib|typing)\b.*"),
    (
        r"py:.*",
        r"(Tensor|Module|NDArray|Any|Path|Self|DataFrame|Sequence|Mapping|Iterable|Callable)",
    ),
    (r"py:class", r".* .*"),  # prose in front of a colon
    (r"py:.*", r"(UserError|ConvexityError|WaveletStage.*|fitting|validation)"),
    (
        r"py:.*",
        r"(optional|float64|object_|ndarray|dtype|ArrayLike|Literal.*|TypeVar.*|StrEnum|ABC)",
    ),
    (
        r"py:.*",
        r"featureconvex\.(certificates|training|results|comparison|baselines|models|nn|features|progress|testing|rounding)\..*",
    ),
    (r"py:class", r"featureconvex\.detector\.described\.AnyCertificate"),  # a type variable
]


def inline(writer: Any, node: nodes.math) -> None:
    """Math in a line as MathML, which browsers show without a script."""
    writer.body.append(mathml(node, as_block=False))
    raise nodes.SkipNode


def block(writer: Any, node: nodes.math_block) -> None:
    """Math on its own lines."""
    writer.body.append(f"<div>{mathml(node, as_block=True)}</div>")
    raise nodes.SkipNode


def mathml(node: Any, as_block: bool) -> str:
    """The LaTeX of ``node`` as MathML."""
    return str(tex2mathml(node.astext(), as_block=as_block))


# Docstrings of attributes, as written: napoleon takes what is before their first colon for a type.
_prose: dict[str, list[str]] = {}


def keep(_: Sphinx, what: str, name: str, *about: Any) -> None:
    """Before napoleon."""
    if what in ("attribute", "data", "property"):
        _prose[name] = list(about[-1])


def restore(_: Sphinx, _what: str, name: str, *about: Any) -> None:
    """After napoleon; a shape such as ``(n, *shape)`` is code, and no emphasis."""
    lines = _prose.pop(name, about[-1])
    about[-1][:] = [re.sub(r"(?<!`)\((n, )?\*shape\)", r"``\g<0>``", line) for line in lines]


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", keep, priority=100)
    app.connect("autodoc-process-docstring", restore, priority=900)
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
