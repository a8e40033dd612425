"""Precisions and settings under which a product is no float32 product are refused."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
import torch
from tests.models.frozen.cases import LEVELS, X, equal, radii, small
from torch import nn

import featureconvex as fc
from featureconvex import UserError


def test_the_float_kinds_refuse_autocast_by_name() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16), pytest.raises(UserError, match="autocast"):
        fc.certify(small(), X, level=fc.levels.Sound(arithmetic="float32"))


@contextmanager
def setting(owner: Any, value: str) -> Iterator[None]:
    before = owner.fp32_precision
    owner.fp32_precision = value
    try:
        yield
    finally:
        owner.fp32_precision = before


@contextmanager
def matmul(value: str) -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(value)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
        torch.backends.mkldnn.matmul.fp32_precision = "none"  # type: ignore[attr-defined]


@contextmanager
def fast_math(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("ONEDNN_DEFAULT_FPMATH_MODE", "BF16")
        yield


BACKENDS: Any = torch.backends
SETTINGS: dict[str, tuple[Callable[..., AbstractContextManager[Any]], str]] = {
    "matmul medium": (lambda _: matmul("medium"), "mkldnn.matmul.fp32_precision"),
    "matmul high": (lambda _: matmul("high"), "mkldnn.matmul.fp32_precision"),
    "mkldnn matmul": (
        lambda _: setting(BACKENDS.mkldnn.matmul, "bf16"),
        "mkldnn.matmul.fp32_precision",
    ),
    "mkldnn conv": (lambda _: setting(BACKENDS.mkldnn.conv, "bf16"), "mkldnn.conv.fp32_precision"),
    "environment": (fast_math, "ONEDNN_DEFAULT_FPMATH_MODE"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_under_which_a_float32_product_is_none_are_refused_by_name(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, words = SETTINGS[name]
    model = small()
    expected = radii(small().double(), X.double())
    with context(monkeypatch):
        for level in LEVELS:
            with pytest.raises(UserError, match=words):
                radii(model, level=level)
        with pytest.raises(UserError, match=words):
            fc.certify(model, X, level=fc.levels.Sound(arithmetic="float32"))
        # Nothing else is asked of a model in double precision.
        assert equal(radii(small().double(), X.double()), expected)
    radii(model)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("part", ["all", "net", "layer", "map"])
def test_half_precision_is_neither_certified_nor_stored(
    dtype: torch.dtype, part: str, tmp_path: Any
) -> None:
    model = small()
    parts: dict[str, nn.Module] = {
        "all": model,
        "net": model.convex_net,
        "layer": model.convex_net.input_layers[0],  # type: ignore[index,dict-item]
        "map": model.feature_map,
    }
    parts[part].to(dtype)
    for act in (
        lambda: radii(model),
        lambda: fc.attack(model, X),
        lambda: fc.save_model(model, tmp_path / "m"),
    ):
        with pytest.raises(UserError, match=r"half-precision.*model.float\(\)"):
            act()
    assert not (tmp_path / "m").exists()


def test_mixed_precision_is_refused() -> None:
    model = small()
    model.convex_net.input_layers[0].double()  # type: ignore[index]
    with pytest.raises(UserError, match=r"mixes torch.float32 and torch.float64"):
        radii(model)
