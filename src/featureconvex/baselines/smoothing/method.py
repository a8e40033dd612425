"""Randomized smoothing: train under noise, guess, count, bound, certify."""

import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featureconvex.baselines.method import Options, Radii, Setting
from featureconvex.baselines.scored_network import ScoredNetwork
from featureconvex.baselines.smoothing.bound import probability_bound
from featureconvex.baselines.smoothing.cost import seconds_with_fresh_noise
from featureconvex.baselines.smoothing.network import NoisyMLP, of_options
from featureconvex.baselines.smoothing.noise import Noise, paper_sigmas
from featureconvex.baselines.smoothing.pool import NoisePool, Stream, seed_of
from featureconvex.baselines.smoothing.votes import chosen_scores, count_votes
from featureconvex.certificates import Guarantee
from featureconvex.errors import UserError
from featureconvex.training.augmentation import Augmentation, AugmentationPolicy
from featureconvex.training.points import Points

ALPHA = 0.001
"""The probability with which one point's radius may be too large."""
FEWEST_SAMPLES = math.floor(math.log(ALPHA) / math.log(0.5)) + 1
"""That n copies agree proves a probability of ``ALPHA^(1/n)``, which must be above one half."""
THRESHOLD_COPIES = 501
POOL = 10_000
"""Noise vectors from which each point's copies for the threshold and for the guess are chosen."""
COST_POINTS = 3


def enough_samples(samples: int) -> None:
    """Make sure that so many samples of noise can certify something.

    Raises:
        UserError: they cannot.
    """
    if samples < FEWEST_SAMPLES:
        raise UserError(
            f"with {samples} samples of noise nothing can be certified at confidence "
            f"{1 - ALPHA:g}; smoothing needs at least {FEWEST_SAMPLES}"
        )


class Smoothing(ScoredNetwork):
    """The class that a noisy copy of ``x`` most likely gets, for one noise at one ``sigma``.

    **Prediction.** ``n0 = 100`` noisy copies; sensitive if more than half score above the threshold.
    **Certificate** (Cohen et al. 2019, CERTIFY, for the sensitive class only). For a point guessed
    sensitive, ``n`` fresh noise vectors, an exact lower bound on the sensitive class's probability at
    confidence ``1 - alpha = 0.999``, and the noise's radius at that bound; 0 (abstention) where the
    bound is not above 1/2. So a point's radius is too large with probability at most 0.001.

    **Shared noise.** All points are certified with the same ``n`` vectors, drawn independently of
    the training, the threshold and the guess. Each point's guarantee holds as it stands, for its
    vectors are as random as its own would be; but failures of different points are not independent.
    Through the linear first layer the vectors pass once per fit, so a point costs the later
    layers only: :func:`.cost.seconds_with_fresh_noise` measures what it costs without sharing.
    Seeds are fixed: certifying again gives the same radii.

    **Threshold.** ``tau`` balances the smoothed decisions on the validation points: a majority of
    noisy copies scores above ``-tau`` if and only if their median does, so ``tau`` balances the
    medians of 501 noisy copies of each validation point.

    **Base classifier.** An MLP (:class:`.network.NoisyMLP`) trained on noisy copies drawn
    anew in every step. The paper's code takes a ResNet-18 for grey images and a WideResNet-40-2 for
    CIFAR; 100,000 passes of those for each of a thousand points are out of reach on a CPU.

    **What is not covered.** Noise and scores are float32 here as everywhere in the literature, and
    the proof is about real numbers (see arXiv 2207.07209); it does not use that pixels are in [0, 1].
    """

    levels: ClassVar[dict[str, Guarantee]] = {"certified": Guarantee.probabilistic}
    passes = "100 + n forward (100,100 at the default n)"
    costly = True
    noise_type: ClassVar[type[Noise]]
    guesses: ClassVar[int] = 100
    former_names: ClassVar[Mapping[str, str]] = {"network.behind.": "network.head."}
    default_epochs = 60
    learning_rate = 3e-3
    # Grey images warped a little, as for the library's own models.
    augmentation = AugmentationPolicy(Augmentation(warp=0.08), Augmentation(shift=3, flip=True))
    network: NoisyMLP

    def __init__(self, options: Options, setting: Setting) -> None:
        enough_samples(options.samples)
        super().__init__(options, setting)
        self._thresholding = self._pool(Stream.threshold, POOL)
        self._guessing = self._pool(Stream.guess, POOL)
        self._certifying = self._pool(Stream.certificate, options.samples)

    def _pool(self, stream: Stream, size: int) -> NoisePool:
        return NoisePool(self.network, self.noise, size, self.options.seed, stream)

    @classmethod
    def settings(cls, options: Options) -> list[Setting]:
        """The paper's standard deviations."""
        return [{"sigma": sigma} for sigma in paper_sigmas(options.task)]

    def build(self) -> NoisyMLP:
        """For inputs of about unit variance after scaling."""
        options = self.options
        self.noise = self.noise_type(float(self.setting["sigma"]))
        torch.manual_seed(seed_of(options.seed, Stream.weights))
        return of_options(options, self.noise.sigma)

    def training_seed(self) -> int:
        """Of a stream of its own."""
        return seed_of(self.options.seed, Stream.training)

    def perturb(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Noisy copies of a batch."""
        return x + self.noise.sample(tuple(x.shape), generator)

    def score(self, x: Tensor) -> Tensor:
        """The median score of each input's noisy copies."""
        return self._noisy_scores(x, self._thresholding, THRESHOLD_COPIES).median(dim=1).values

    def train_accuracy(self, fitting: Points) -> float:
        """Of the smoothed classifier."""
        return float(np.mean(self.predict(fitting.x) == (fitting.y.numpy() > 0)))

    def _noisy_scores(self, x: Tensor, pool: NoisePool, copies: int) -> Tensor:
        """(n, copies) scores under noise chosen from the pool."""
        scores = torch.empty(len(x), copies, device=self.tau.device)
        for row, own in enumerate(chosen_scores(self.network, pool, x, copies)):
            scores[row] = own
        return scores

    @torch.no_grad()
    def predict(self, x: Tensor) -> NDArray[np.bool_]:
        """Whether more than half of 100 noisy copies score above the threshold."""
        scores = self._noisy_scores(x, self._guessing, self.guesses).double() + self.tau
        return np.asarray((2 * (scores > 0).sum(dim=1) > self.guesses).cpu().numpy())

    @torch.no_grad()
    def counts(self, x: Tensor) -> NDArray[np.int64]:
        """How many of ``options.samples`` noisy copies score as sensitive, (n, *shape) -> (n,)."""

        def flagged(row: int, scores: Tensor) -> Tensor:
            del row
            return scores.double() + self.tau > 0

        return count_votes(self.network, self._certifying, x, flagged)

    def certify(self, x: Tensor, level: str) -> Radii:
        """The noise's radii at a lower bound on the sensitive class's probability."""
        flagged = self.predict(x)
        bounds = np.zeros(len(x))
        chosen = x[torch.from_numpy(np.flatnonzero(flagged))]
        samples = self.options.samples
        bounds[flagged] = probability_bound(self.counts(chosen), samples, ALPHA)
        return self.noise.radii(bounds, self.options.dimension)

    def measurements(self, x: Tensor) -> dict[str, float]:
        """What a certificate takes without sharing: forward passes, and seconds on a few points."""
        passes = self.guesses + self.options.samples
        if not len(x):
            return {"forward_passes": float(passes)}
        few = x[:COST_POINTS].to(self.tau.device)
        seconds = seconds_with_fresh_noise(self.network, self.noise, passes, few, self.options.seed)
        return {"forward_passes": float(passes), "seconds_with_fresh_noise": seconds}
