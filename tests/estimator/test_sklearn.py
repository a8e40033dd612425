"""scikit-learn's own contract."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from featureconvex.estimator import FeatureConvexClassifier

REASON = "a point is drawn into a batch or held out by its place: twice in the data is not weight 2"
EXPECTED = {
    "check_sample_weight_equivalence_on_dense_data": REASON,
    "check_sample_weight_equivalence_on_sparse_data": REASON,
}


@pytest.mark.usefixtures("few_pilots")
@parametrize_with_checks(
    [FeatureConvexClassifier(epochs=4, random_state=0)],
    expected_failed_checks=lambda _: EXPECTED,
)
def test_scikit_learn_check(estimator, check):  # type: ignore[no-untyped-def]
    check(estimator)
