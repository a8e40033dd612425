"""Runs and comparisons without their PNG figures, which take most of a small one's time."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

# Where the figures of a report are drawn.
DRAWING = (
    "featureconvex.report.report.draw_figures",
    "featureconvex.report.multi_class.report.draw_class_figures",
    "featureconvex.comparison.report.write.draw_comparison",
)


@contextmanager
def undrawn_reports() -> Iterator[None]:
    """Reports have no PNG figures meanwhile: for tests, and fixtures, of the rest of them."""
    with pytest.MonkeyPatch.context() as patch:
        for place in DRAWING:
            patch.setattr(place, lambda _: {})
        yield
