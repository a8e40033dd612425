"""What the attacker of a table or of files can do to the detector that was trained on it."""

from featureconvex.experiment.review.review import review

__all__ = ["review"]
