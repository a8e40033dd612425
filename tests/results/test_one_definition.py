"""Shared constants have one home, and names of columns are made and read in one."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import featureconvex

PACKAGE = Path(featureconvex.__file__).parent


@cache
def trees() -> dict[str, ast.Module]:
    """Every module of the package."""
    return {
        path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in PACKAGE.rglob("*.py")
    }


def assigned(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        yield from (target.id for target in targets if isinstance(target, ast.Name))


@pytest.mark.parametrize("name", ["NORMS", "NORM_NAMES", "LEVELS", "ROUND_DOWN", "CLOSED_FORM"])
def test_a_constant_is_defined_once(name: str) -> None:
    homes = [path for path, tree in trees().items() if name in assigned(tree)]
    assert len(homes) == 1, homes


def test_names_of_columns_are_built_and_read_in_one_place() -> None:
    found = {
        path
        for path, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        and isinstance(first := next(iter(node.values), None), ast.Constant)
        and str(first.value).startswith(("radius_", "slope_", "status_", "upper_", "seconds_"))
    }
    assert found == {"results/columns.py", "comparison/columns.py"}
