"""featureconvex: detectors that prove no bounded perturbation can make their flag go away.

Names are imported on first use, so that ``featureconvex --help`` answers without loading torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from featureconvex import baselines, features, nn, testing
    from featureconvex.certificates import (
        L0,
        Append,
        AttackResult,
        Box,
        Certificate,
        Change,
        ClassCertificate,
        Edits,
        Guarantee,
        Insert,
        Lp,
        Patch,
        Slack,
        Status,
        Threat,
        Unbounded,
        attack,
        certify,
        certify_classes,
        levels,
    )
    from featureconvex.errors import ConvexityError, UserError
    from featureconvex.estimator import CertifiedRecall, FeatureConvexClassifier, fold, load
    from featureconvex.experiment import certify_slack
    from featureconvex.models import (
        FeatureConvexModel,
        MultiClassModel,
        import_checkpoint,
        save_model,
    )

__version__ = "0.1.0"

__all__ = [
    "L0",
    "Append",
    "AttackResult",
    "Box",
    "Certificate",
    "CertifiedRecall",
    "Change",
    "ClassCertificate",
    "ConvexityError",
    "Edits",
    "FeatureConvexClassifier",
    "FeatureConvexModel",
    "Guarantee",
    "Insert",
    "Lp",
    "MultiClassModel",
    "Patch",
    "Slack",
    "Status",
    "Threat",
    "Unbounded",
    "UserError",
    "attack",
    "baselines",
    "certify",
    "certify_classes",
    "certify_slack",
    "features",
    "fold",
    "import_checkpoint",
    "levels",
    "load",
    "nn",
    "save_model",
    "testing",
]

_ROOMS = ("baselines", "features", "nn", "testing")
_HOMES = {
    "errors": ("ConvexityError", "UserError"),
    "estimator": ("CertifiedRecall", "FeatureConvexClassifier", "fold", "load"),
    "experiment": ("certify_slack",),
    "models": ("FeatureConvexModel", "MultiClassModel", "import_checkpoint", "save_model"),
}


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = next((room for room, names in _HOMES.items() if name in names), "certificates")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
