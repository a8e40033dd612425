"""Write the answers of the pages on studies from the committed results.

    python benchmarks/pages/study_pages.py

A test holds the pages to what this script writes. An answer without its result names the command that
makes it. ``studies/`` has a file for each page.
"""

from pathlib import Path

from featureconvex.files import write_text
from featureconvex.study.registry import STUDIES
from page import blocks_of, filled_page
from studies import (
    ablations,
    cascade,
    generalisation,
    lipschitz,
    multi_class,
    overfitting,
    pairs,
    paper,
)

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
APART = ("theorem",)
NAMES = [name for name in STUDIES if name not in APART]
PAGES = [f"study-{name}" for name in NAMES]
OF_STUDY = {
    "pairs": pairs,
    "generalisation": generalisation,
    "lipschitz": lipschitz,
    "ablations": ablations,
    "overfitting": overfitting,
    "cascade": cascade,
    "multi-class": multi_class,
    "paper": paper,
}
MAKERS = {
    mark: (make, name) for name, study in OF_STUDY.items() for mark, make in study.MAKERS.items()
}


def filled(text: str) -> str:
    """A page with its marked blocks replaced."""
    return filled_page(
        text, blocks_of(MAKERS, "study_{}.json", "python benchmarks/training/studies.py {}")
    )


def write() -> None:
    """Bring the pages up to date."""
    for name in PAGES:
        path = DOCS / f"{name}.md"
        if path.exists():
            write_text(path, filled(path.read_text(encoding="utf-8")))


if __name__ == "__main__":
    write()
