"""Certificates and attacks do not depend on the state that the caller is in."""

import copy
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from tests.models.frozen.cases import LEVELS, X, equal, radii, radii_of_small, small
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import featureconvex as fc


class Tenfold(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        return out * 10 if "mm" in str(func) else out


class Twentyfold(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        return out * 20 if func is nn.functional.linear else out


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


AMBIENT: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "autocast on cuda": lambda: torch.autocast("cuda", dtype=torch.float16),
    "inference mode": torch.inference_mode,
    "no grad": torch.no_grad,
    "hooks on what autograd saves": lambda: saved_tensors_hooks(lambda t: 0.1 * t, lambda t: t),
    "dispatch mode": Tenfold,
    "function mode": Twentyfold,
    "default device": lambda: torch.device("meta"),
    "default dtype": lambda: default_dtype(torch.float64),
    "half default dtype": lambda: default_dtype(torch.bfloat16),
}


@pytest.mark.filterwarnings("ignore:.*CUDA is not available.*:UserWarning")
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", AMBIENT)
def test_certificates_do_not_depend_on_the_state_of_the_caller(name: str, level: str) -> None:
    expected = radii_of_small(level)
    model, fresh = small(), copy.deepcopy(X)
    with AMBIENT[name]():
        again = radii(model, fresh.numpy(), level)
    assert equal(again, expected)


@pytest.mark.filterwarnings("ignore:.*CUDA is not available.*:UserWarning")
@pytest.mark.parametrize("name", AMBIENT)
def test_attacks_do_not_depend_on_the_state_of_the_caller(name: str) -> None:
    flips = fc.attack(small(), X, fc.Lp(2), fc.Box(-6, 6), steps=10)
    model, fresh = small(), copy.deepcopy(X)
    with AMBIENT[name]():
        found = fc.attack(model, fresh.numpy(), fc.Lp(2), fc.Box(-6, 6), steps=10)
    np.testing.assert_array_equal(found.distance, flips.distance)


def test_models_and_inputs_of_inference_mode_are_taken() -> None:
    with torch.inference_mode():
        model, x = small(), X + 0
        torch.manual_seed(1)
        inside = radii(model, x, "tight")
    assert equal(inside, radii_of_small("tight"))
    assert equal(radii(model, x, "tight"), inside)


def test_a_classifier_fits_in_inference_mode() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4))
    y = (x[:, 0] > 0).astype(int)

    def fitted() -> np.ndarray:
        clf = fc.FeatureConvexClassifier(hidden=(4,), epochs=2, temperature=1.0, random_state=0)
        return clf.fit(x, y).certify(x).radius

    expected = fitted()
    for state in (torch.inference_mode, torch.no_grad):
        with state():
            np.testing.assert_array_equal(fitted(), expected)
