"""Damaged and odd tables, schemas and files: 50,000 inputs that are read right or refused in words.

    python benchmarks/soundness/fuzz_inputs.py [--inputs 50000] [--seed 0] [--only csv]

The inputs and what is checked of each are those of ``tests/data/fuzzing.py``. Writes
``results/fuzz_inputs.json``: how many of each kind were read and how many refused. An input that is misread
or ends in a traceback is shown, as small as it can be made, and the exit status is 1.
"""

import argparse
import json
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, seed, settings
from hypothesis.strategies import SearchStrategy

from featureconvex.files import write_text
from featureconvex.provenance import provenance

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "results" / "fuzz_inputs.json"
ANY_SPEED = list(HealthCheck)
SHARES = {"csv": 0.24, "parquet": 0.16, "schema": 0.3, "file": 0.3}


def drawn(
    strategy: SearchStrategy[Any],
    check: Callable[[Any, Path], bool],
    inputs: int,
    number: int,
    folder: str,
) -> dict[str, int]:
    """How many of so many inputs were read and refused; the smallest that breaks a promise is raised."""
    counts = {"read": 0, "refused": 0}

    @seed(number)
    @settings(max_examples=inputs, database=None, deadline=None, suppress_health_check=ANY_SPEED)
    @given(strategy)
    def one(content: Any) -> None:
        counts["read" if check(content, Path(folder)) else "refused"] += 1

    one()
    return counts


def main() -> int:
    """Draw, check, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", choices=SHARES, default=list(SHARES))
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    from tests.data.fuzzing import KINDS

    warnings.simplefilter("error")
    record: dict[str, Any] = {"seed": options.seed, "kinds": {}}
    if RESULT.exists() and len(options.only) < len(SHARES):
        record["kinds"] = json.loads(RESULT.read_text())["kinds"]  # the others stay
    for kind in options.only:
        with tempfile.TemporaryDirectory() as folder:
            counts = drawn(*KINDS[kind], round(options.inputs * SHARES[kind]), options.seed, folder)
        record["kinds"][kind] = counts
        print(kind, counts, flush=True)
    record["inputs"] = sum(sum(counts.values()) for counts in record["kinds"].values())
    write_text(RESULT, json.dumps({**record, "provenance": provenance()}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
