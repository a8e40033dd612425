"""Methods with a score for each class after a Lipschitz feature map; the largest names the class."""

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featureconvex.baselines.method import Options, Radii, Setting
from featureconvex.baselines.multi_class.method import ClassMethod, ClassOptions
from featureconvex.certificates import Box, Domain, Guarantee, Lp, Unbounded, certify_classes
from featureconvex.certificates.levels import Level
from featureconvex.device import device
from featureconvex.models.file import load_any_model, save_model
from featureconvex.models.multi_class import MultiClassModel
from featureconvex.norms import norm_name, parse_norm
from featureconvex.progress import Ticker, silent
from featureconvex.results.columns import CLOSED_FORM
from featureconvex.training.architectures import Architecture
from featureconvex.training.multi_class import fit_architecture, nearest_class
from featureconvex.training.points import Points
from featureconvex.training.recipes import default

SHARES = (1 / 32, 1 / 8)
"""Temperatures, as shares of the distance between classes: one for accuracy, one for radius."""
ROWS = 500


class ScoreMethod(ClassMethod):
    """Scores ``f_k = g_k(phi(x)) + tau_k``, each ``g_k`` convex, trained together for the radii of a norm.

    A subclass names its native norms and writes :meth:`architecture`. Trained by
    :func:`featureconvex.training.multi_class.fit_architecture` with the numbers of recipe ``default``, the
    same objective for all; certified by :func:`featureconvex.certify_classes`, whose numbers are rounded
    outwards: proofs about the stored weights, not about what float32 makes of them.

    Attributes:
        hidden: widths of every score's hidden layers; none: affine scores; None: those of the network that
            one sensitive class would have.
    """

    passes = "1 forward, 1 backward for each class"
    hidden: Sequence[int] | None = ()

    def __init__(self, options: ClassOptions, setting: Setting) -> None:
        super().__init__(options, setting)
        self.model: MultiClassModel | None = None

    @classmethod
    def settings(cls, options: Options) -> list[Setting]:
        """Each norm that it certifies itself, at each temperature."""
        norms = cls.native_norms
        named = [{"norm": norm_name(p)} if len(norms) > 1 else {} for p in norms]
        return [{**norm, "share": share} for norm in named for share in SHARES]

    @property
    def norm(self) -> float:
        """The exponent of the norm that this setting is trained for."""
        named = self.setting.get("norm")
        return self.native_norms[0] if named is None else parse_norm(named)

    @abstractmethod
    def architecture(self, points: Points) -> Architecture:
        """What is trained on points (n, *shape), in front of the scores."""

    def fit(
        self,
        fitting: Points,
        validation: Points,
        *,
        folder: Path | None = None,
        tick: Ticker = silent,
    ) -> dict[str, Any]:
        """Train on both parts, of which a tenth of each class is held out again to choose the epoch."""
        x, y = torch.cat((fitting.x, validation.x)), torch.cat((fitting.y, validation.y))
        points = Points(x if self.options.image else x.double(), y)
        recipe = default(tuple(x.shape), self.norm)
        distance = nearest_class(points, recipe.norm)
        recipe = recipe.replace(
            temperature=float(self.setting["share"]) * distance,
            epochs=self.options.epochs or recipe.epochs,
        )
        path = folder / "training.pt" if folder else None
        fitted = fit_architecture(
            self.architecture(points),
            recipe,
            points,
            hidden=self.hidden,
            seed=self.options.seed,
            path=path,
            device=device(self.options.device),
            tick=tick,
        )
        if path is not None:
            path.unlink(missing_ok=True)
        # Radii of a table should not depend on how it is batched.
        self.model = fitted.model if self.options.image else fitted.model.double()
        right = self.predict(points.x) == y.numpy()
        return {
            "epochs": recipe.epochs,
            "train_accuracy": float(right.mean()),
            "temperature": recipe.temperature,
        }

    def trained(self) -> MultiClassModel:
        """The model of several classes.

        Raises:
            RuntimeError: neither fitted nor loaded.
        """
        if self.model is None:
            raise RuntimeError("fit or load first")
        return self.model

    @torch.no_grad()
    def predict(self, x: Tensor) -> NDArray[np.int64]:
        """The class of the largest score."""
        model = self.trained()
        parts = [model(part.to(model.device, model.dtype)) for part in torch.split(x, ROWS)]
        return np.asarray(torch.cat(parts).argmax(1).cpu().numpy())

    def certify(self, x: Tensor, level: str) -> Radii:
        """The library's certificates of classes; above the closed form pixels stay in [0, 1]."""
        return self.certified(x, CLOSED_FORM if level == "certified" else level)

    def certified(self, x: Tensor, level: str | Level) -> Radii:
        """Radii of a level of the library."""
        held = self.options.image and level != CLOSED_FORM
        domain: Domain = Box(0, 1) if held else Unbounded()
        threats = [Lp(p) for p in self.native_norms]
        found = certify_classes(self.trained(), x, threats, domain, level)
        return {p: one.radius for p, one in zip(self.native_norms, found, strict=True)}

    def save(self, path: Path) -> None:
        """A model file, as :func:`featureconvex.save` writes it.

        Of images :func:`featureconvex.load` takes it. Of tables it knows standardised columns only, which
        nobody's rows are, and so it has no names.
        """
        names = self.options.names if self.options.image else ()
        save_model(self.trained(), path, {"classes": list(names)} if names else None)

    def load(self, path: Path) -> None:
        """Read a model file."""
        model, _ = load_any_model(path)
        assert isinstance(model, MultiClassModel)
        self.model = model.to(device(self.options.device))


class AffineScores(ScoreMethod):
    """Affine scores, whose radii are ``(f_k - f_j) / ||w_k - w_j||_q`` against each other class ``j``."""

    levels: ClassVar[dict[str, Guarantee]] = {"certified": Guarantee.deterministic}
