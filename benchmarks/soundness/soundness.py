"""The soundness campaign: certify in every way, attack just inside every radius, judge exactly.

    python benchmarks/soundness/soundness.py [--certificates 2000000] [--seed 0] [--points 160] [--jobs 2]
                                   [--folder runs/soundness] [--data-dir D] [--out results/soundness.json]

Random networks of every architecture, feature map (learned ones too) and style of weights, networks made
to break certificates, tables attacked by edits, and trained ones on bundled data (and on MNIST, Fashion
and CIFAR-10 where they are found).
Every certificate of every level is attacked at radius x (1 - 1e-12) along the steepest direction, by
descent, along the flips that our own attack and foolbox find, and a few units in the last place away.
Exact claims are judged in exact arithmetic wherever a proved bound on the float margin does not decide;
claims about float32 and float64 by the deployed forward pass.

Besides: any exponent in [1, 1000], costs over twenty orders of magnitude, activations in place, absolute
values of absolute values; what must be refused (a forward of one's own, hooks of every kind); several
threads at once; and laws of radii (NaN, smaller domains, dearer costs, ``radius <= upper``).

A killed campaign continues from its last shard. Exit status 1 if level ``sound`` is violated, any other
level by more than rounding explains, or a promise besides radii is broken.
"""

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from featureconvex.files import write_text
from featureconvex.provenance import provenance
from featureconvex.testing.soundness import Campaign, Plan

RESULT = Path(__file__).resolve().parents[2] / "results" / "soundness.json"


def show(record: dict[str, Any]) -> None:
    """The table by level."""
    print(f"{'level':>18} {'certificates':>13} {'points':>10} {'judged':>10} {'violations':>11}")
    for level, counts in record["levels"].items():
        numbers = (counts[name] for name in ("attacked", "points", "judged", "violations"))
        print("{:>18} {:>13} {:>10} {:>10} {:>11}".format(level, *numbers))
    for kind, promises in record["checks"].items():
        for what, levels in promises.items():
            tried, refused, broken = (
                sum(counts[name] for counts in levels.values())
                for name in ("tried", "refused", "violations")
            )
            print(f"{kind}, {what}: {tried} tried, {refused} refused, {broken} violations")
    for refusal in record["refused"]:
        print("refused:", ", ".join(f"{name} {words}" for name, words in refusal.items() if words))
    print(
        f"{record['certificates']} certificates of {record['shards']} models attacked; "
        f"violations of level sound: {record['violations_sound']} of "
        f"{record['certificates_sound']}; of any level beyond rounding: "
        f"{record['violations_gross']}; of promises besides radii: "
        f"{record['violations_of_checks']}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--certificates", type=int, default=2_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--points", type=int, default=160)
    parser.add_argument("--jobs", type=int, default=1, help="processes; the shards are the same")
    parser.add_argument("--folder", type=Path, default=Path("runs/soundness"))
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    started = datetime.now(UTC)
    plan = Plan(seed=options.seed, points=options.points, data_dir=options.data_dir)
    outcome = Campaign(options.folder, plan).run(options.certificates, True, options.jobs)
    record = {**outcome.record(), "provenance": provenance(started)}
    write_text(options.out, json.dumps(record, indent=1) + "\n")
    show(record)
    broken = ("violations_sound", "violations_gross", "violations_of_checks")
    return int(any(record[name] for name in broken))


if __name__ == "__main__":
    sys.exit(main())
