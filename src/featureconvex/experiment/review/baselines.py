"""Detectors without certificates on the same rows: what accuracy a proof costs."""

import warnings
from typing import Any

import numpy as np

from featureconvex.data import Split
from featureconvex.progress import progress_bar
from featureconvex.results.review import BaselineReview

# More rows take minutes and tell no more.
MOST = 50_000


def review_baselines(
    train: Split, test: Split, seed: int, progress: bool = False
) -> list[BaselineReview]:
    """A linear model and boosted trees, as scikit-learn has them, at their own thresholds.

    Args:
        train: at most :data:`MOST` rows of it are fitted, drawn with the seed.
        test: what both are judged on.
        seed: of the draw and of the trees.
        progress: show a bar.
    """
    # Slow to import, and nothing for those who certify.
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    chosen = np.arange(len(train))
    if len(train) > MOST:
        chosen = np.random.default_rng(seed).permutation(len(train))[:MOST]
    models: dict[str, Any] = {
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        "boosted trees": HistGradientBoostingClassifier(random_state=seed),
    }
    found = []
    with progress_bar("detectors without proofs", len(models), progress) as tick:
        for name, model in models.items():
            with warnings.catch_warnings():
                # Nearly separable rows: its last digits are of no interest here.
                warnings.simplefilter("ignore", ConvergenceWarning)
                model.fit(train.x[chosen], train.y[chosen])
            score = model.predict_proba(test.x)[:, 1]
            accuracy = float(((score > 0.5) == (test.y == 1)).mean())
            auc = float(roc_auc_score(test.y, score))
            found.append(BaselineReview(method=name, clean_accuracy=accuracy, auc=auc))
            tick(1, name)
    return found
