"""Where the threshold goes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from featureconvex.errors import UserError
from featureconvex.training.calibration import at_false_positive_rate, balanced

LOGITS = hnp.arrays(
    np.float64, st.integers(2, 60), elements=st.floats(-50, 50).map(lambda v: round(v, 1))
)


def _labels(n: int) -> np.ndarray:
    return np.arange(n) % 2


def _accuracies(logits: np.ndarray, labels: np.ndarray, tau: float) -> tuple[float, float]:
    flagged = logits + tau > 0
    return float(flagged[labels == 1].mean()), float((~flagged[labels == 0]).mean())


@given(LOGITS)
def test_balanced_beats_every_other_cut(logits: np.ndarray) -> None:
    labels = _labels(len(logits))
    chosen = balanced(logits, labels)
    sensitive, other = _accuracies(logits, labels, chosen.tau)
    assert sensitive == pytest.approx(chosen.sensitive_accuracy)
    assert other == pytest.approx(chosen.other_accuracy)
    cuts = np.concatenate((logits - 0.01, logits + 0.01))
    gaps = [abs(a - b) for a, b in (_accuracies(logits, labels, -cut) for cut in cuts)]
    assert abs(sensitive - other) <= min(gaps) + 1e-9


@given(LOGITS, st.floats(0, 1))
def test_false_positive_rate_is_kept_and_no_recall_wasted(
    logits: np.ndarray, target: float
) -> None:
    labels = _labels(len(logits))
    chosen = at_false_positive_rate(logits, labels, target)
    sensitive, other = _accuracies(logits, labels, chosen.tau)
    assert 1 - other <= target + 1e-9
    for cut in np.concatenate((logits - 0.01, logits + 0.01)):
        recall, specificity = _accuracies(logits, labels, -cut)
        if 1 - specificity <= target:
            assert recall <= sensitive + 1e-9


def test_separable_points_are_separated() -> None:
    chosen = balanced(np.array([-2.0, -1.0, 3.0, 5.0]), np.array([0, 0, 1, 1]))
    assert (chosen.sensitive_accuracy, chosen.other_accuracy) == (1.0, 1.0)
    assert chosen.tau == -1.0  # halfway between -1 and 3


@pytest.mark.parametrize(
    ("logits", "labels", "word"),
    [([0.0, np.nan], [0, 1], "finite"), ([0.0, 1.0], [1, 1], "both classes")],
)
def test_refusals(logits: list[float], labels: list[int], word: str) -> None:
    with pytest.raises(UserError, match=word):
        balanced(np.array(logits), np.array(labels))


def test_rate_out_of_range() -> None:
    with pytest.raises(UserError, match="false-positive rate"):
        at_false_positive_rate(np.array([0.0, 1.0]), np.array([0, 1]), 1.5)
