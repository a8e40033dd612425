"""Before training: shares outside the other hull, and the class that suits being sensitive."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from featureconvex.cli import app
from featureconvex.data import find_task
from featureconvex.errors import UserError
from featureconvex.theory.separability.expectation import expectation


def nested(path: Path, inside: str, columns: int = 2) -> Path:
    """A class inside a ring of the other."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, columns))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    x[:150] *= 0.2
    table = pd.DataFrame(x, columns=[f"x{k}" for k in range(columns)])
    other = "ring" if inside == "core" else "core"
    table["kind"] = np.repeat([inside, other], 150)
    table.to_csv(path, index=False)
    return path


def test_the_class_outside_suits(tmp_path: Path) -> None:
    table = nested(tmp_path / "t.csv", "core")
    found = expectation(find_task(str(table), "kind", "core").load())
    assert len(found) == 2
    words = found[0].replace("\xa0", " ")
    assert "0 % of core lie outside the convex hull of ring, 100 % the other way round" in words
    assert found[1].startswith("ring suits the sensitive class better than core")
    assert len(expectation(find_task(str(table), "kind", "ring").load())) == 1


def test_inspect_says_so_or_why_not(tmp_path: Path) -> None:
    table = nested(tmp_path / "t.csv", "core")
    run = CliRunner().invoke(app, ["inspect", str(table), "--label", "kind", "--sensitive", "core"])
    assert run.exit_code == 0
    assert "what to expect, by all rows: 0 % of core" in run.output.replace("\xa0", " ")
    silent = CliRunner().invoke(app, ["inspect", str(table)])
    assert "what to expect" not in silent.output
    unnamed = CliRunner().invoke(app, ["inspect", str(table), "--label", "kind"])
    assert "not known yet" in unnamed.output
    assert "--sensitive" in unnamed.output


def test_wide_tables_are_left_to_the_command(tmp_path: Path) -> None:
    table = nested(tmp_path / "t.csv", "core", columns=501)
    with pytest.raises(UserError, match="featureconvex separability"):
        expectation(find_task(str(table), "kind", "core").load())
