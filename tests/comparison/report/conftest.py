"""Folders of made-up comparisons with their reports."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.comparison.comparisons import synthetic_comparison

from featureconvex.comparison.folder import write_comparison
from featureconvex.comparison.report.write import write_comparison_report

MakeFolder = Callable[..., Path]


@pytest.fixture(scope="session")
def make_comparison(tmp_path_factory: pytest.TempPathFactory) -> MakeFolder:
    def make(*arguments: Any, **keywords: Any) -> Path:
        folder = tmp_path_factory.mktemp("comparison")
        write_comparison(synthetic_comparison(*arguments, **keywords), folder)
        return folder

    return make


@pytest.fixture(scope="session")
def comparison_report(make_comparison: MakeFolder) -> Path:
    """Every method but one, which failed; some radii are infinite."""
    folder = make_comparison(
        failed=["interval"], n=200, infinite=True, note="<script>alert(1)</script> & note"
    )
    write_comparison_report(folder)
    return folder
