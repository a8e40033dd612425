"""What a command says in the end: sentences, or with ``--quiet`` and ``--json`` less and more.

=============  ======================  =====================================
asked          standard output         standard error
=============  ======================  =====================================
nothing        sentences, then places  stages, remarks, warnings and errors
``--quiet``    places                  warnings and errors
``--json``     the result              as without it
both           the result              warnings and errors
=============  ======================  =====================================
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from featureconvex.progress import hushed


class Say(Protocol):
    """Says the outcome of a command, once."""

    def __call__(
        self,
        sentences: Callable[[], Sequence[str]],
        places: Sequence[str],
        result: Callable[[], Any],
        aside: bool = False,
    ) -> None:
        """Say one of the three.

        Args:
            sentences: for people.
            places: where the result was written, such as ``report: runs/a/report.html``.
            result: plain values, as JSON has them.
            aside: on standard error, as standard output holds the result itself.
        """
        ...


@contextmanager
def feedback(quiet: bool, as_json: bool) -> Iterator[Say]:
    """What a command runs in, and what it says its outcome with."""

    def say(
        sentences: Callable[[], Sequence[str]],
        places: Sequence[str],
        result: Callable[[], Any],
        aside: bool = False,
    ) -> None:
        if as_json:
            from featureconvex.results.strict_json import dump_json

            lines = [dump_json(result()).rstrip()]
        else:
            lines = [*([] if quiet else sentences()), *places]
        stream = sys.stderr if aside else sys.stdout
        for line in lines:
            stream.write(f"{line}\n")

    with hushed(quiet):
        yield say
