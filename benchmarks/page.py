"""Tables and marked blocks of the project's pages."""

import re


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
