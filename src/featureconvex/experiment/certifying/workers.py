"""One process or several that certify pieces, in order."""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.context import BaseContext

import pandas as pd
import torch

from featureconvex.data.inputs.pieces import Piece
from featureconvex.errors import UserError
from featureconvex.experiment.certifying.certifier import Certifier, Found

Outcome = Found | pd.DataFrame | UserError
"""New rows, those of a job before this one, or why there are none."""
Item = tuple[Piece, pd.DataFrame | UserError | None]
"""A piece, and its outcome where that is known already."""
Work = Callable[[Iterable[Item]], Iterator[tuple[Piece, Outcome]]]

_own: Certifier | None = None


@contextmanager
def workers(certifier: Certifier, jobs: int) -> Iterator[Work]:
    """What turns pieces into outcomes, in order, few of them in memory; this process is one of ``jobs``."""
    if jobs == 1:
        yield lambda items: ((piece, _done(certifier, piece, known)) for piece, known in items)
        return
    with _single_thread(), ProcessPoolExecutor(jobs - 1, _context(), _start, (certifier,)) as pool:

        def work(items: Iterable[Item]) -> Iterator[tuple[Piece, Outcome]]:
            waiting: deque[tuple[Piece, Outcome | Future[Outcome]]] = deque()
            for piece, known in items:
                busy = [out for _, out in waiting if isinstance(out, Future) and not out.done()]
                if known is None and len(busy) < jobs:
                    waiting.append((piece, pool.submit(_work, piece)))
                else:
                    waiting.append((piece, _done(certifier, piece, known)))
                while (waiting and _ready(waiting[0][1])) or len(waiting) > 4 * jobs:
                    yield _next(waiting)
            while waiting:
                yield _next(waiting)

        try:
            yield work
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _single_thread() -> Iterator[None]:
    """One thread for each process: more would be in each other's way."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _ready(outcome: "Outcome | Future[Outcome]") -> bool:
    return not isinstance(outcome, Future) or outcome.done()


def _context() -> BaseContext:
    """Processes that share the memory of what they import, where the system has such."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _next(waiting: "deque[tuple[Piece, Outcome | Future[Outcome]]]") -> tuple[Piece, Outcome]:
    piece, outcome = waiting.popleft()
    return piece, outcome.result() if isinstance(outcome, Future) else outcome


def _done(
    certifier: Certifier, piece: Piece, known: pd.DataFrame | UserError | None = None
) -> Outcome:
    if known is not None:
        return known
    try:
        return certifier(piece)
    except UserError as error:
        return error


def _start(certifier: Certifier) -> None:
    global _own
    torch.set_num_threads(1)
    _own = certifier


def _work(piece: Piece) -> Outcome:
    assert _own is not None
    return _done(_own, piece)
