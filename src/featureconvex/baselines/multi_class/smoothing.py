"""``smoothing-gaussian`` for several classes: the class that a noisy copy most likely gets; l2."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from featureconvex.baselines.method import Options, Radii, Setting
from featureconvex.baselines.multi_class.method import ClassMethod, ClassOptions
from featureconvex.baselines.scored_network import FEW_POINTS
from featureconvex.baselines.smoothing.bound import probability_bound
from featureconvex.baselines.smoothing.method import ALPHA, POOL, Smoothing, enough_samples
from featureconvex.baselines.smoothing.network import of_options
from featureconvex.baselines.smoothing.noise import GaussianNoise
from featureconvex.baselines.smoothing.pool import NoisePool, Stream, seed_of
from featureconvex.baselines.smoothing.variants import SmoothingGaussian
from featureconvex.baselines.smoothing.votes import chosen_scores, count_votes
from featureconvex.baselines.training import train_network
from featureconvex.device import device
from featureconvex.progress import Ticker, silent
from featureconvex.training.points import Points

SIGMAS = (0.25, 0.5, 1.0)
"""Standard deviations of Cohen et al. 2019."""


class SmoothingClasses(ClassMethod):
    """Gaussian smoothing of a network of several classes (Cohen et al. 2019, CERTIFY).

    The class that most of 100 noisy copies get is predicted. ``n`` fresh copies, the same noise for all
    points, bound its probability from below with confidence 0.999; where the bound is not above 1/2 the
    method abstains, which is a radius of 0. Noise, bound, base network and what is not covered are those of
    :class:`featureconvex.baselines.smoothing.method.Smoothing`.
    """

    name = SmoothingGaussian.name
    title = SmoothingGaussian.title
    native_norms: ClassVar[tuple[float, ...]] = GaussianNoise.norms
    levels = Smoothing.levels
    passes = Smoothing.passes
    costly = Smoothing.costly
    literature = SmoothingGaussian.literature

    def __init__(self, options: ClassOptions, setting: Setting) -> None:
        enough_samples(options.samples)
        super().__init__(options, setting)
        self.noise = GaussianNoise(float(setting["sigma"]))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(options.seed, Stream.weights))
            self.network = of_options(options, self.noise.sigma, options.classes)
        self.to(device(options.device))
        self._guessing = self._pool(Stream.guess, POOL)
        self._certifying = self._pool(Stream.certificate, options.samples)

    def _pool(self, stream: Stream, size: int) -> NoisePool:
        return NoisePool(self.network, self.noise, size, self.options.seed, stream)

    @classmethod
    def settings(cls, options: Options) -> list[Setting]:
        """Three standard deviations."""
        return [{"sigma": sigma} for sigma in SIGMAS]

    def fit(
        self,
        fitting: Points,
        validation: Points,
        *,
        folder: Path | None = None,
        tick: Ticker = silent,
    ) -> dict[str, Any]:
        """Train on noisy copies drawn anew in every step; no threshold needs the validation points."""
        epochs = self.options.epochs or Smoothing.default_epochs
        train_network(
            self.network,
            fitting,
            epochs=epochs,
            seed=seed_of(self.options.seed, Stream.training),
            loss=_cross_entropy,
            perturb=lambda x, generator: x + self.noise.sample(tuple(x.shape), generator),
            augmentation=Smoothing.augmentation.of(self.options.shape),
            learning_rate=Smoothing.learning_rate,
            weight_decay=Smoothing.weight_decay,
            batch_size=128,
            after_step=lambda: None,
            folder=folder,
            tick=tick,
            targets=_labels,
        )
        # Of the smoothed classifier, which takes a hundred passes a point: on as many as say enough.
        few = slice(FEW_POINTS)
        right = self.predict(fitting.x[few]) == fitting.y[few].numpy()
        return {"epochs": epochs, "train_accuracy": float(right.mean())}

    @torch.no_grad()
    def predict(self, x: Tensor) -> NDArray[np.int64]:
        """The class that most of 100 noisy copies get, of equals the first."""
        copies = Smoothing.guesses
        found = [
            int(scores.argmax(1).bincount().argmax())
            for scores in chosen_scores(self.network, self._guessing, x, copies)
        ]
        return np.array(found, dtype=np.int64)

    @torch.no_grad()
    def certify(self, x: Tensor, level: str) -> Radii:
        """The noise's radii at a lower bound on the predicted class's probability."""
        predicted = self.predict(x)

        def same(row: int, scores: Tensor) -> Tensor:
            return scores.argmax(1) == int(predicted[row])

        counts = count_votes(self.network, self._certifying, x, same)
        bounds = probability_bound(counts, self.options.samples, ALPHA)
        return self.noise.radii(bounds, self.options.dimension)


def _labels(y: Tensor, dtype: torch.dtype) -> Tensor:
    del dtype
    return y


def _cross_entropy(network: nn.Module, x: Tensor, y: Tensor, done: float) -> Tensor:
    del done
    return cross_entropy(network(x), y)
