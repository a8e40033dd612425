"""The laws of radii on the models of the soundness campaign, without its attacks.

    python benchmarks/soundness/soundness_laws.py [--shards 394] [--seed 0]
        [--folder runs/soundness] [--data-dir D]

Writes results/soundness_laws.json: how often each law was tried and broken at each level, and the shards
in which it was. Of the models of ``benchmarks/soundness/soundness.py`` these are the wild ones, of which
it asks the same. Exit status 1 if a law is broken.
"""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from featureconvex.files import write_text
from featureconvex.progress import progress_bar
from featureconvex.provenance import provenance
from featureconvex.results.strict_json import dump_json
from featureconvex.testing.soundness import Campaign, Plan
from featureconvex.testing.soundness.campaign import TRAINED_EVERY, WILD_AT
from featureconvex.testing.soundness.shard import Shard
from featureconvex.testing.soundness.tally import Tally

RESULT = Path(__file__).resolve().parents[2] / "results" / "soundness_laws.json"


def main() -> int:
    """Ask for every law, and write what came out."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shards", type=int, default=394)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("runs/soundness"))
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    started = datetime.now(UTC)
    campaign = Campaign(options.folder, Plan(seed=options.seed, data_dir=options.data_dir))
    total, broken, asked = Tally(), [], 0
    with progress_bar("models", options.shards, True) as tick:
        for number in range(WILD_AT, options.shards, TRAINED_EVERY):
            checks = Shard(campaign.case(number), number).laws()
            asked += bool(checks)
            total.add(Tally(checks=checks))
            broken += [
                {"shard": number, "law": check.what, "level": check.level, "rows": check.violations}
                for check in checks
                if check.violations
            ]
            tick(TRAINED_EVERY, f"{len(broken)} broken")
    record: dict[str, Any] = {
        "shards": options.shards,
        "models": asked,
        "seed": options.seed,
        "laws": total.checked().get("law", {}),
        "broken": broken,
        "provenance": provenance(started),
    }
    write_text(options.out, dump_json(record))
    print(f"{asked} models, {len(broken)} broken laws")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
