"""Theorem 3.9 and sharper bounds against simulation: ``results/theorem.json``,
``docs/figures/theorem.png``.

    python benchmarks/theory/theorem.py [--quick] [--out FOLDER]
"""

import argparse
import shutil
import tempfile
from pathlib import Path

from featureconvex.study.run import run_study

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Measure and put both files where they are committed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path, default=ROOT)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run_study("theorem", Path(folder), options.quick)
        for name, place in (("theorem.json", "results"), ("theorem.png", "docs/figures")):
            (options.out / place).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(Path(folder) / name, options.out / place / name)


if __name__ == "__main__":
    main()
