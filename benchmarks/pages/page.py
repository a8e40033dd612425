"""Tables and marked blocks of the project's pages."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from featureconvex.results.strict_json import load_json

RESULTS = Path(__file__).resolve().parents[2] / "results"


def table(head: list[str], body: list[list[str]]) -> str:
    """A table; its first column names the row."""
    return "\n".join([row(head), row(["---"] * len(head)), *map(row, body)])


def row(cells: list[str]) -> str:
    """One line of a table."""
    return f"| {' | '.join(cells)} |"


def replaced(text: str, name: str, block: str) -> str:
    """``text`` with what stands between ``<!-- name -->`` and ``<!-- end name -->`` replaced."""
    begin, end = f"<!-- {name} -->", f"<!-- end {name} -->"
    before, rest = text.split(begin)
    return f"{before}{begin}\n{block}\n{end}{rest.split(end)[1]}"


def filled_page(text: str, blocks: dict[str, str]) -> str:
    """``text`` with every marked block in it replaced; a mark that no block belongs to is an error."""
    for name in re.findall(r"<!-- end ([\w-]+) -->", text):
        text = replaced(text, name, blocks[name])
    return text


def blocks_of(
    makers: Mapping[str, tuple[Callable[[dict[str, Any]], str], str]],
    result: str,
    command: str,
) -> dict[str, str]:
    """Blocks from committed results; one without its result names the command that makes it.

    Args:
        makers: by mark, what makes the block, and the name of its result.
        result: the file below ``results``, with ``{}`` for that name.
        command: likewise.
    """
    found = {}
    for mark, (make, name) in makers.items():
        path = RESULTS / result.format(name)
        missing = f"*Not measured yet: `{command.format(name)}`.*"
        found[mark] = make(load_json(path)) if path.exists() else missing
    return found
