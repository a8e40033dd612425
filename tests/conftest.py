"""Test configuration: which tests can run here, and reproducible randomness."""

import gc
import os
import shutil
from collections.abc import Generator, Iterator
from contextlib import nullcontext
from typing import Any

# Before scipy is imported: lets scikit-learn's array API check run instead of skipping itself.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

import pytest
import torch
from hypothesis import settings
from tests.sum_order import OtherOrder
from tests.undrawn import undrawn_reports

# Until the tests are collected (pytest_collection_finish): nothing of them is garbage.
gc.disable()

pytest_plugins = ["tests.synthetic_runs", "tests.slow"]

# The same examples in every run; `make test-thorough` draws many others.
settings.register_profile(
    "featureconvex", max_examples=18, deadline=None, derandomize=True, print_blob=True
)
settings.register_profile("thorough", max_examples=500, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "featureconvex"))

# Two xdist workers on two cores: one thread each is faster than two fighting.
if "OMP_NUM_THREADS" not in os.environ:
    torch.set_num_threads(1)

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect, visibly, what this machine cannot run."""
    missing = set()
    if not os.environ.get("FEATURECONVEX_DATA"):
        missing.add("realdata")
    if not any(map(shutil.which, BROWSERS)):
        missing.add("browser")
    out = [item for item in items if missing & {mark.name for mark in item.iter_markers()}]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in out]
        names = ", ".join(sorted(missing))
        print(f"\ndeselected {len(out)} tests that need: {names} (see the README)")


def pytest_collection_finish() -> None:
    """What was imported and collected stays: no search for garbage looks at it again."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, None, None]:
    """``SUM_ORDER=seed``: on a processor that adds up in another order (see ``sum_order.py``)."""
    seed = os.environ.get("SUM_ORDER")
    with nullcontext() if seed is None else OtherOrder(int(seed)):
        yield


@pytest.fixture
def own_methods() -> Iterator[None]:
    """What a test registers for the comparison is gone with it."""
    from featureconvex.baselines import METHODS
    from featureconvex.baselines.multi_class import CLASS_METHODS

    registries: tuple[dict[str, Any], ...] = (METHODS, CLASS_METHODS)
    before = [dict(known) for known in registries]
    yield
    for known, kinds in zip(registries, before, strict=True):
        known.clear()
        known.update(kinds)


@pytest.fixture
def undrawn() -> Iterator[None]:
    """Reports have no PNG figures: for tests of the rest of a run or a comparison."""
    with undrawn_reports():
        yield


@pytest.fixture
def few_pilots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training chooses between two temperatures instead of seven: for tests of what comes after it."""
    monkeypatch.setattr("featureconvex.training.temperature.RATIOS", (1 / 8, 1 / 2))


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
