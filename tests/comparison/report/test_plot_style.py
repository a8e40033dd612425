import itertools

import pytest

from featureconvex.certificates import Guarantee
from featureconvex.comparison.report.line_style import (
    COLOURS,
    STYLES,
    colours,
    marker,
    style,
)


def lightness(colour: str) -> float:
    """Relative luminance, in [0, 1] (WCAG 2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((lightness(one), lightness(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("slot", range(len(COLOURS)))
def test_every_colour_can_be_seen_on_its_page(slot: int) -> None:
    light, dark = colours(slot)
    assert contrast(light, "#FFFFFF") > 2.7
    assert contrast(dark, "#1C2024") > 4.5


def test_no_two_methods_look_the_same() -> None:
    looks = [(colours(slot), marker(slot)) for slot in range(154)]
    assert len(set(looks)) == 154
    assert len(set(COLOURS)) == len(COLOURS)


def test_every_kind_of_result_has_a_style_of_its_own() -> None:
    kinds = {
        style(guarantee, converted).plotly
        for guarantee, converted in itertools.product(
            (Guarantee.deterministic, Guarantee.probabilistic), (False, True)
        )
    }
    assert len(kinds) == 4
    assert style(Guarantee.empirical, False).plotly not in kinds
    assert len({s.matplotlib for s in STYLES}) == len({s.words for s in STYLES}) == len(STYLES)
