"""The state of torch that a caller may be in: what certificates must not depend on.

Autocast, inference mode and other modes belong to a thread, so they are left for the time of a
computation. The precision of float32 products belongs to the whole process, other threads included, so it
is never changed here: what is wrong with it is named.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import _disable_current_modes

from featureconvex.errors import UserError

# Values under which a float32 product is one.
_PLAIN = ("none", "ieee")


# Where models of this library run.
_DEVICES = ("cpu", "cuda")


@contextmanager
def undisturbed() -> Iterator[None]:
    """Outside of what the caller's thread is in, whatever that is; a decorator, too.

    Autocast, inference mode, function and dispatch modes (a default device is one) and hooks on what
    autograd saves. Tensor subclasses count as the tensors that they are.

    Raises:
        UserError: inside of a transformation by ``torch.func``, where tensors stand for others.
    """
    if torch._C._functorch.peek_interpreter_stack() is not None:
        raise UserError(
            "this cannot run inside of torch.func.vmap, grad, jvp and the like, whose tensors have no "
            "numbers to look at; call it outside, on all rows at once"
        )
    with ExitStack() as stack:
        # Modes are told of what changes below, so they go first.
        stack.enter_context(torch._C.DisableTorchFunction())
        if torch._C._len_torch_dispatch_stack():
            stack.enter_context(_disable_current_modes())
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        for kind in _DEVICES:
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch._C._autograd._top_saved_tensors_default_hooks(False) is not None:
            # Only the innermost hooks count.
            stack.enter_context(saved_tensors_hooks(_as_it_is, _as_it_is))
        yield


def _as_it_is(value: torch.Tensor) -> torch.Tensor:
    return value


def check_float32_products(device: torch.device) -> None:
    """Refuse settings of the process under which float32 products are computed in lower precision.

    Raises:
        UserError: naming the setting and how to undo it.
    """
    for name, value in _product_settings(device).items():
        if value not in _PLAIN:
            raise UserError(
                f"float32 products may be computed in lower precision: {name} is {value!r}; set it to "
                "'ieee' (torch.set_float32_matmul_precision('highest') undoes the older setting) here and "
                "where the model runs, or use a double-precision model"
            )
    mode = os.environ.get("ONEDNN_DEFAULT_FPMATH_MODE", "STRICT")
    if mode.upper() != "STRICT":
        raise UserError(
            f"float32 products may be computed in lower precision: ONEDNN_DEFAULT_FPMATH_MODE is {mode!r}; "
            "unset it here and where the model runs, or use a double-precision model"
        )


def check_no_autocast() -> None:
    """Refuse autocast, under which the caller's own float32 forward pass runs in lower precision.

    Raises:
        UserError: naming it.
    """
    for kind in _DEVICES:
        if torch.is_autocast_enabled(kind):
            raise UserError(
                f"torch.autocast({kind!r}) is on, so the deployed model does not compute in float32 here; "
                "certify and deploy outside of it, or use arithmetic='real'"
            )


def _product_settings(device: torch.device) -> dict[str, str]:
    backends: Any = torch.backends  # torch declares these settings in no stub
    if not hasattr(backends.mkldnn, "matmul"):  # before torch 2.9 there was one setting
        plain = torch.get_float32_matmul_precision() == "highest"
        return {"torch.get_float32_matmul_precision()": "ieee" if plain else "lower"}
    found = {
        "torch.backends.fp32_precision": backends.fp32_precision,
        "torch.backends.mkldnn.fp32_precision": backends.mkldnn.fp32_precision,
        "torch.backends.mkldnn.matmul.fp32_precision": backends.mkldnn.matmul.fp32_precision,
        "torch.backends.mkldnn.conv.fp32_precision": backends.mkldnn.conv.fp32_precision,
    }
    if device.type == "cuda":
        found["torch.backends.cuda.matmul.fp32_precision"] = backends.cuda.matmul.fp32_precision
    return found
