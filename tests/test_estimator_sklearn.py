"""scikit-learn's own contract."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from featureconvex.estimator import FeatureConvexClassifier


@parametrize_with_checks([FeatureConvexClassifier(epochs=15, random_state=0)])
def test_scikit_learn_check(estimator, check):  # type: ignore[no-untyped-def]
    check(estimator)
