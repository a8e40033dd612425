"""The studies, and their figures: ``results/study_NAME.json`` and ``docs/figures/study-NAME.png``.

    python benchmarks/training/studies.py [pairs ...] [--jobs 1] [--data-dir D]

Each is one `featureconvex study NAME` below ``runs/study-NAME``; what is there stays: a killed study goes
on. ``benchmarks/pages/study_pages.py`` fills the pages. Needs the real data (``FEATURECONVEX_DATA``).
"""

import argparse
import shutil
from pathlib import Path

import torch

from featureconvex.study.registry import STUDIES
from featureconvex.study.run import run_study

ROOT = Path(__file__).resolve().parents[2]
APART = ("theorem",)
"""Has a script of its own."""


def main() -> None:
    """Run and copy."""
    names = [name for name in STUDIES if name not in APART]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*names, []], default=names)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--data-dir", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.names:
        folder = ROOT / "runs" / f"study-{name}"
        if name == "paper":
            # Of seconds, and of other results than before.
            shutil.rmtree(folder, ignore_errors=True)
        run_study(name, folder, data_dir=options.data_dir, jobs=options.jobs)
    # After all of them: what is copied makes a clean source tree another one.
    for name in options.names:
        folder = ROOT / "runs" / f"study-{name}"
        copies = {
            f"{name}.json": ROOT / "results" / f"study_{name}.json",
            f"{name}.png": ROOT / "docs" / "figures" / f"study-{name}.png",
        }
        for file, place in copies.items():
            shutil.copyfile(folder / file, place)


if __name__ == "__main__":
    main()
