"""Several threads certify one model while others ask it: nobody may notice."""

import threading
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

import featureconvex as fc
from featureconvex.testing.soundness.tally import Check

WORKING = ("closed-form", "domain", "sound")
ASKING = 2
# Another thread may find its numbers at another alignment, and sum them in another order.
ULPS = 2.0**12


def thread_checks(model: fc.FeatureConvexModel, x: Tensor, rounds: int = 2) -> list[Check]:
    """One thread per level certifies ``rounds`` times while two evaluate the model.

    Args:
        model: in eval mode.
        x: (n, ...) of its inputs.
        rounds: of every certifying thread.
    """
    rtol = ULPS * torch.finfo(model.dtype).eps
    with torch.no_grad():
        expected = model(x)
    alone = {level: fc.certify(model, x, fc.Lp(2), None, level).radius for level in WORKING}
    wrong: dict[str, int] = dict.fromkeys((*WORKING, "model(x)"), 0)
    tried = dict(wrong)
    done = threading.Event()

    def count(what: str, ask: Callable[[], bool]) -> None:
        tried[what] += 1
        try:
            wrong[what] += not ask()
        except Exception:
            # Whatever is raised is the violation that is counted.
            wrong[what] += 1

    def certifies(level: str) -> None:
        for _ in range(rounds):
            count(
                level,
                lambda: np.allclose(
                    fc.certify(model, x, fc.Lp(2), None, level).radius, alone[level], rtol, 0
                ),
            )

    def answers() -> bool:
        with torch.no_grad():
            margin = model(x)
        size = float(expected.abs().max())
        return bool(((margin - expected).abs() <= rtol * size).all()) and not model.training

    def asks() -> None:
        while not done.is_set():
            count("model(x)", answers)

    asking = [threading.Thread(target=asks) for _ in range(ASKING)]
    working = [threading.Thread(target=certifies, args=(level,)) for level in WORKING]
    for thread in (*asking, *working):
        thread.start()
    for thread in working:
        thread.join()
    done.set()
    for thread in asking:
        thread.join()
    return [Check("threads", what, "", tried[what], 0, wrong[what]) for what in wrong]
