"""The worked examples of ``examples/work`` on the real data: numbers and pictures of the docs.

    python benchmarks/training/worked_examples.py [--only spam]

Needs the real data (``FEATURECONVEX_DATA``). Works below ``runs/work``; writes
``results/worked_examples.json`` after every example, and ``docs/figures/work-NAME.png``.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from featureconvex.data import resolve_data_dir
from featureconvex.files import write_text
from featureconvex.provenance import provenance

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "results" / "worked_examples.json"
WORK = ROOT / "runs" / "work"


def examples() -> dict[str, Callable[[Path], dict[str, Any]]]:
    """By name; each does its work in a folder."""
    sys.path.insert(0, str(ROOT))
    from examples.work import binaries, income, measurements, phishing, spam

    tables = resolve_data_dir() / "tables"
    return {
        "phishing": lambda out: phishing.main(tables / "phishing.csv", out),
        "spam": spam.main,
        "income": lambda out: income.main(tables / "income.csv", out),
        "measurements": measurements.main,
        "binaries": binaries.main,
    }


def main() -> None:
    """Run them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="the name of one example")
    only = parser.parse_args().only
    found = json.loads(RESULT.read_text())["examples"] if RESULT.exists() else {}
    for name, example in examples().items():
        if only in ("", name):
            shutil.rmtree(WORK / name, ignore_errors=True)
            numbers = example(WORK / name)
            found[name] = {**numbers, "provenance": provenance()}
            shutil.copyfile(WORK / name / f"{name}.png", ROOT / "docs/figures" / f"work-{name}.png")
            write_text(RESULT, json.dumps({"examples": found}, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
