"""Detectors as modules: one convex margin, several classes, frozen for a certificate, and on disk."""

from featureconvex.models.file import save_model
from featureconvex.models.model import FeatureConvexModel
from featureconvex.models.multi_class import MultiClassModel
from featureconvex.models.paper_checkpoint import import_checkpoint

__all__ = ["FeatureConvexModel", "MultiClassModel", "import_checkpoint", "save_model"]
