"""The answers of the page on the paper's figures and tables."""

from collections.abc import Callable

from studies.words import Content, table


def main_table(content: Content) -> str:
    """One line per figure or table."""
    body = [
        [item["title"], item["paper"], item["here"], item["differs"]]
        for item in content["items"].values()
    ]
    return table(["figure or table", "paper", "here", "what differs, and why"], body)


def models(content: Content) -> str:
    """The numbers of the models."""
    item = content["items"]["models"]
    return table(item["head"], item["body"])


MAKERS: dict[str, Callable[[Content], str]] = {
    "paper-table": main_table,
    "paper-models": models,
}
