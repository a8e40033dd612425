"""``splitting``: deterministic l1 smoothing by splits, every one of them counted."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featureconvex.baselines.method import Method, Options, Radii, Setting
from featureconvex.baselines.smoothing.noise import paper_sigmas
from featureconvex.baselines.splitting.network import SplitNetwork
from featureconvex.baselines.splitting.noise import SNAP, SplitNoise, cell_starts
from featureconvex.baselines.splitting.votes import Decisions, SplitVotes
from featureconvex.baselines.thresholds import balanced_threshold
from featureconvex.baselines.training import train_network
from featureconvex.certificates import Guarantee
from featureconvex.device import device
from featureconvex.progress import Ticker, silent
from featureconvex.training.augmentation import Augmentation
from featureconvex.training.points import Points

EPOCHS = 40
TRAIN_ACCURACY_POINTS = 200
SHORTER = (1 - 2 * SNAP) * (1 - 1e-9)
"""Levels move at most 1 / (1 - 2 SNAP) times as fast as inputs; and a little for rounding."""
ROUNDING = 1e-6
"""In votes: more than float64 can lose on them, at the point and at the perturbed one together."""


class Splitting(Method):
    """DSSN (Levine and Feizi 2021): an MLP's decisions at all split positions, and their majority.

    **Certificate.** ``2 lambda (p - 1/2)`` in l1, with ``p`` the share of split positions at which the
    MLP says "sensitive" (:mod:`.splitting_votes` has the proof). There is nothing random and nothing
    estimated: all positions are enumerated, and the MLP's arithmetic is exact where sums are concerned.
    The paper states it for inputs on the grid of 8 bits; here the smoothed classifier is defined for
    all real inputs, in a way that changes nothing on the grid, and the radius holds for every real
    perturbation. It is shortened by 6.1e-5 of itself for that, which is less than one step of the grid.

    **Base classifier.** An MLP trained behind random split positions; the paper takes ResNet-18 and
    WideResNet-40-2, hundreds to thousands of whose passes per certificate are out of reach on a CPU.

    **Threshold.** A majority scores above ``-tau`` if and only if :meth:`.Decisions.majority_score`
    does, so ``tau`` balances that score on the validation points.
    """

    name = "splitting"
    title = "splitting"
    native_norms: ClassVar[tuple[float, ...]] = (1.0,)
    levels: ClassVar[dict[str, Guarantee]] = {"certified": Guarantee.sound}
    passes = "883 sigma split positions (662 to 2,650 for images), all of them"
    literature = (
        "The certificates its authors published (CIFAR-10, ten classes, WideResNet-40-2): sigma 0.75, "
        "81.5 % clean, median l1 radius of correct points 1.24; 1.5, 75.9 %, 2.20; 2.25, 71.2 %, 3.00; "
        "3, 68.0 %, 3.61 (arXiv 2103.10834). Here an MLP, 40 epochs by default."
    )
    tau: Tensor
    starts: Tensor

    def __init__(self, options: Options, setting: Setting) -> None:
        super().__init__(options, setting)
        self.noise = SplitNoise.of(float(setting["sigma"]), options.image)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(options.seed)
            self.network = SplitNetwork(options.shape)
        starts = cell_starts(options.dimension, self.noise.offsets, options.seed)
        self.register_buffer("starts", starts)
        self.register_buffer("tau", torch.zeros((), dtype=torch.float64))
        self.to(device(options.device))

    @classmethod
    def settings(cls, options: Options) -> list[Setting]:
        """The paper's standard deviations."""
        return [{"sigma": sigma} for sigma in paper_sigmas(options.task)]

    def fit(
        self,
        fitting: Points,
        validation: Points,
        *,
        folder: Path | None = None,
        tick: Ticker = silent,
    ) -> dict[str, Any]:
        """Train behind random splits, round the weights, balance the majority's scores.

        ``train_accuracy`` is that of the smoothed classifier on 200 points spread over ``fitting``.
        """
        epochs = self.options.epochs or EPOCHS
        train_network(
            self.network,
            fitting,
            epochs=epochs,
            seed=self.options.seed,
            perturbation=self._split,
            augmentation=_augmentation(self.options),
            folder=folder,
            tick=tick,
        )
        self.network.round_weights()
        majority = [d.majority_score() for d in self._decisions(validation.x)]
        scores = torch.tensor(majority, dtype=torch.float64)
        self.tau.fill_(balanced_threshold(scores, validation.y))
        some = torch.arange(0, len(fitting), max(1, len(fitting) // TRAIN_ACCURACY_POINTS))
        right = self.predict(fitting.x[some]) == (fitting.y[some].numpy() > 0)
        return {"epochs": epochs, "train_accuracy": float(right.mean())}

    def _split(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """A batch (n, *shape), each input behind the splits of a random offset: (n, 4, d)."""
        levels = self.noise.drawn_levels(x.flatten(1), generator)
        count = self.noise.offsets
        offsets = torch.randint(count, (len(x), 1), generator=generator, device=x.device)
        return self.noise.seen(levels, (self.starts + offsets) % count)

    def _decisions(self, x: Tensor) -> list[Decisions]:
        votes = SplitVotes(self.network, self.noise, self.starts)
        return [votes.decide(point) for point in x]

    def surplus(self, x: Tensor) -> NDArray[np.float64]:
        """``votes(x) - Q / 2`` of inputs (n, *shape), (n,): how many levels they are from a tie."""
        half = self.noise.offsets / 2
        return np.array([d.votes(self.tau) - half for d in self._decisions(x)], dtype=np.float64)

    def predict(self, x: Tensor) -> NDArray[np.bool_]:
        """Whether more than half of all split positions say "sensitive"."""
        return np.asarray(self.surplus(x) > 0)

    def certify(self, x: Tensor, level: str) -> Radii:
        """``votes - Q / 2`` levels, in the units of the input."""
        surplus = np.maximum(self.surplus(x) - ROUNDING, 0)
        return {1.0: surplus * self.noise.level_width * SHORTER}


def _augmentation(options: Options) -> Augmentation | None:
    """Shifts, and flips for photographs."""
    return Augmentation(shift=1, flip=options.shape[0] == 3) if options.image else None
