"""What can a spammer do who only adds words, and one who rewrites k of them?

    python -m examples.work.spam OUT

Spambase: shares of 48 words and 6 characters, in percent of the mail, and three numbers about capitals.
The first spammer puts listed words in the place of unlisted ones: shares only grow, their sum (l1) is the
price. The second changes k features as far as the training mails go (l0). Neither touches the capitals.
Needs spambase (``FEATURECONVEX_DATA``).
"""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from numpy.typing import NDArray

import featureconvex as fc
from featureconvex.data import find_task

CAPITALS = 3


def main(out: Path, epochs: int | None = None) -> dict[str, Any]:
    """All of it; the numbers."""
    out.mkdir(parents=True, exist_ok=True)
    data = find_task("spambase").load()
    train, test = data.train, data.test
    clf = fc.FeatureConvexClassifier(
        1, norm=1, feature_map="identity", epochs=epochs, random_state=0
    )
    clf.fit(train.x, train.y)
    spam = test.x[(test.y == 1) & (clf.predict(test.x) == 1)]
    fixed = np.arange(train.x.shape[1]) >= train.x.shape[1] - CAPITALS
    low, high = train.x.min(axis=0), train.x.max(axis=0)
    inside = spam[((spam >= low) & (spam <= high)).all(axis=1)]
    growing = fc.Box(low, high, immutable=fixed, direction=np.ones(len(fixed), dtype=int))
    any_way = fc.Box(low, high, immutable=fixed)
    added = clf.certify(inside, fc.Lp(1), growing, "domain").radius
    either = clf.certify(inside, fc.Lp(1), any_way, "domain").radius
    words = clf.certify(inside, fc.L0(), any_way, "domain").radius
    tried = clf.attack(torch.from_numpy(inside[:100]), fc.Lp(1), growing)
    numbers = {
        "accuracy": float((clf.predict(test.x) == test.y).mean()),
        "flagged": len(inside),
        "median_percent_added": float(np.median(added)),
        "median_percent_added_or_removed": float(np.median(either)),
        "never_by_adding": float(np.isinf(added).mean()),
        "share_that_stands_k_rewritten_words": {
            str(k): float((words >= k).mean()) for k in range(1, 5)
        },
        "evasions_found_by_adding": float(tried.found.mean()),
    }
    (out / "spam.json").write_text(json.dumps(numbers, indent=1), encoding="utf-8")
    _draw({"only adding words": added, "adding and removing": either}, out / "spam.png")
    return numbers


def _draw(radii: dict[str, NDArray[np.float64]], path: Path) -> None:
    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    top = max(float(np.quantile(r[np.isfinite(r)], 0.95)) for r in radii.values())
    grid = np.linspace(0, top, 400)
    for name, radius in radii.items():
        axes.plot(grid, (radius[:, None] >= grid).mean(0), label=name)
    axes.set(xlabel="percent of the mail's words", ylabel="certified share of flagged spam")
    axes.set(ylim=(0, 1.02), xlim=(0, top))
    axes.legend()
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1])), indent=1))
