"""featureconvex: detectors that prove no bounded perturbation can make their flag go away."""

from featureconvex import features, nn
from featureconvex.certificates import (
    Box,
    Certificate,
    Guarantee,
    Lp,
    Status,
    Unbounded,
    certify,
)
from featureconvex.errors import ConvexityError, UserError
from featureconvex.model import FeatureConvexModel

__version__ = "0.1.0"

__all__ = [
    "Box",
    "Certificate",
    "ConvexityError",
    "FeatureConvexModel",
    "Guarantee",
    "Lp",
    "Status",
    "Unbounded",
    "UserError",
    "certify",
    "features",
    "nn",
]
