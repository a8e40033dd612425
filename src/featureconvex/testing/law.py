"""What a law is: a function that raises AssertionError when a case breaks it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from featureconvex.features import Compose

C = TypeVar("C")
Law = Callable[[C], None]


def require(condition: bool | Tensor, message: str) -> None:
    """Raise ``AssertionError(message)`` unless ``condition`` holds; never compiled away by ``-O``."""
    if not bool(condition):
        raise AssertionError(message)


def check_all(laws: Iterable[Law[C]], case: C) -> None:
    """Run every law, and report all that are broken.

    Raises:
        AssertionError: one line for each broken law; a law that crashes is broken, too.
    """
    broken, cause = [], None
    for law in laws:
        try:
            law(case)
        except AssertionError as error:
            broken.append(f"{law.__name__}: {error}")
        except Exception as error:
            broken.append(f"{law.__name__}: {type(error).__name__}: {error}")
            cause = cause or error
    if broken:
        raise AssertionError("\n".join(broken)) from cause


M = TypeVar("M", bound=nn.Module)


def build(make: Callable[[], M], seed: int = 0) -> M:
    """A fresh object from its maker, in eval mode and the same in every run."""
    with seeded(seed):
        return make().eval()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """torch's global generator at ``seed`` inside, and restored afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def rebuilt(module: Any) -> Any:
    """The object that a model file would give back: constructor arguments, then the state dict."""
    import json

    arguments = json.loads(json.dumps(module.config()))
    parts = list(module.maps) if isinstance(module, Compose) else []
    try:
        copy = type(module)(*map(rebuilt, parts), **arguments)
        copy.load_state_dict(module.state_dict(), strict=True)
    except (TypeError, ValueError, RuntimeError) as error:
        raise AssertionError(f"the config does not rebuild the module: {error}") from error
    return copy.eval()


def close(a: Tensor, b: Tensor, rtol: float = 1e-9, atol: float = 0.0) -> bool:
    """Whether two tensors agree, infinities and NaN included."""
    return torch.allclose(a.double(), b.double(), rtol=rtol, atol=atol, equal_nan=True)
