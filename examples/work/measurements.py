"""By how many standard errors may every measurement of a tumour be off before a malignant one passes?

    python -m examples.work.measurements OUT

scikit-learn's breast cancer data holds the mean of ten measurements of cells, and the standard error of
each. No attacker here, but an error: every measurement may be off at once, each by at most so many of its
own (median) standard errors. That is linf with costs; beside it, one measurement alone.
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import featureconvex as fc


def main(out: Path, epochs: int | None = None) -> dict[str, Any]:
    """All of it; the numbers."""
    out.mkdir(parents=True, exist_ok=True)
    data = load_breast_cancer(as_frame=True)
    names = [name for name in data.feature_names if name.startswith("mean ")]
    errors = data.data[[f"{name.removeprefix('mean ')} error" for name in names]].median()
    kind = data.target.map({0: "malignant", 1: "benign"})
    x, held, y, truth = train_test_split(
        data.data[names], kind, test_size=0.3, random_state=0, stratify=kind
    )
    # In units of the errors: costs of 1 measure what is asked for.
    unit = 1 / errors.to_numpy()
    clf = fc.FeatureConvexClassifier(
        "malignant", feature_map="identity", temperature=1.0, epochs=epochs, random_state=0
    )
    clf.fit(x * unit, y)
    tumours = held[truth == "malignant"] * unit
    flagged = tumours[clf.predict(tumours) == "malignant"]
    every = clf.certify(flagged, fc.Lp(math.inf), level="domain").radius
    alone = {}
    for place, name in enumerate(names):
        others = np.arange(len(names)) != place
        box = fc.Box(-np.inf, np.inf, immutable=others)
        alone[name] = float(np.median(clf.certify(flagged, fc.Lp(1), box, "domain").radius))
    linear = make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y)
    numbers = {
        "accuracy": float((clf.predict(held * unit) == truth).mean()),
        "accuracy_of_logistic_regression": float(linear.score(held, truth)),
        "flagged": len(flagged),
        "median_standard_errors_of_all_at_once": float(np.median(every)),
        "share_certified_at_one_standard_error": float((every >= 1).mean()),
        "median_standard_errors_of_one_alone": alone,
    }
    (out / "measurements.json").write_text(json.dumps(numbers, indent=1), encoding="utf-8")
    _draw(alone, float(np.median(every)), out / "measurements.png")
    return numbers


def _draw(alone: dict[str, float], every: float, path: Path) -> None:
    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    names = sorted(alone, key=lambda name: -alone[name])
    axes.barh(names, [alone[name] for name in names])
    axes.axvline(every, color="C1", label=f"all at once: {every:.2f}")
    axes.set(xlabel="certified standard errors (median over flagged tumours)", xscale="log")
    axes.legend()
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1])), indent=1))
