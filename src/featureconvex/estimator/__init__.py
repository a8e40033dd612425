"""scikit-learn's view of the library: the classifier, pipelines folded into it, and a scorer."""

from featureconvex.estimator.classifier import FeatureConvexClassifier
from featureconvex.estimator.folding import fold
from featureconvex.estimator.load import load
from featureconvex.estimator.scoring import CertifiedRecall

__all__ = ["CertifiedRecall", "FeatureConvexClassifier", "fold", "load"]
