"""How lines look: colour and marker say which method, dashes and filling what its radii are worth.

Every method has a colour and a marker of its own, so that neither is needed alone: colours are told
apart in pairs by hue and by lightness (Okabe and Ito 2008; Tol's muted and bright schemes).
"""

from typing import NamedTuple

from featureconvex.certificates import Guarantee

COLOURS = (
    ("#0072B2", "#56B4E9"),
    ("#D55E00", "#FF8A4C"),
    ("#009E73", "#2FC79C"),
    ("#B0558A", "#E09AC4"),
    ("#C08A00", "#F0C23C"),
    ("#333333", "#E6E8EA"),
    ("#332288", "#9D8DF1"),
    ("#8C8C8C", "#A0A6AC"),
    ("#882255", "#DB6FA0"),
    ("#4FA3D9", "#9CD3FF"),
    ("#6B7A00", "#C6D24A"),
    ("#7B4A12", "#CF9D6C"),
    ("#C2185B", "#FF7AA8"),
    ("#117777", "#58C9C9"),
)
"""On white paper, and on a dark page."""


class Marker(NamedTuple):
    """A marker's name in matplotlib and in plotly."""

    matplotlib: str
    plotly: str


MARKERS = (
    Marker("o", "circle"),
    Marker("s", "square"),
    Marker("^", "triangle-up"),
    Marker("D", "diamond"),
    Marker("v", "triangle-down"),
    Marker("P", "cross"),
    Marker("X", "x"),
    Marker("*", "star"),
    Marker("<", "triangle-left"),
    Marker(">", "triangle-right"),
    Marker("p", "pentagon"),
)


class Style(NamedTuple):
    """What a kind of result looks like.

    Attributes:
        matplotlib: the line style.
        plotly: the same for the page; its name is also a class of the style sheet.
        words: for the key.
    """

    matplotlib: str | tuple[int, tuple[float, ...]]
    plotly: str
    words: str


SOLID = Style("-", "solid", "deterministic")
DASHED = Style((0, (5, 2)), "dash", "probabilistic")
DOTTED = Style((0, (1, 1.2)), "dot", "deterministic, converted from another norm")
DASH_DOTTED = Style((0, (5, 1.5, 1, 1.5)), "dashdot", "probabilistic, converted from another norm")
LONG_DASHED = Style((0, (10, 4)), "longdash", "empirical, nothing proved")
STYLES = (SOLID, DASHED, DOTTED, DASH_DOTTED, LONG_DASHED)


def colours(slot: int) -> tuple[str, str]:
    """The colour of a slot on white and on dark; after 14 slots the colours come again."""
    return COLOURS[slot % len(COLOURS)]


def marker(slot: int) -> Marker:
    """The marker of a slot; no two of the first 154 slots share colour and marker."""
    return MARKERS[slot % len(MARKERS)]


def style(guarantee: Guarantee, converted: bool) -> Style:
    """Dashes for sampling, dots for conversion, both for both.

    >>> style(Guarantee.sound, False).words, style(Guarantee.probabilistic, True).plotly
    ('deterministic', 'dashdot')
    """
    if guarantee is Guarantee.empirical:
        return LONG_DASHED
    if guarantee is Guarantee.probabilistic:
        return DASH_DOTTED if converted else DASHED
    return DOTTED if converted else SOLID


def filled(guarantee: Guarantee) -> bool:
    """Only floating-point sound radii have filled markers."""
    return guarantee is Guarantee.sound
