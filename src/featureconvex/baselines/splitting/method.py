"""``splitting``: deterministic l1 smoothing by splits, every one of them counted."""

from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featureconvex.baselines.method import Options, Radii, Setting
from featureconvex.baselines.scored_network import ScoredNetwork
from featureconvex.baselines.smoothing.noise import paper_sigmas
from featureconvex.baselines.splitting.network import SplitNetwork
from featureconvex.baselines.splitting.noise import SNAP, SplitNoise, cell_starts
from featureconvex.baselines.splitting.votes import Decisions, SplitVotes
from featureconvex.baselines.thresholds import accuracy
from featureconvex.certificates import Guarantee
from featureconvex.training.augmentation import Augmentation, AugmentationPolicy
from featureconvex.training.points import Points

TRAIN_ACCURACY_POINTS = 200
SHORTER = (1 - 2 * SNAP) * (1 - 1e-9)
"""Levels move at most 1 / (1 - 2 SNAP) times as fast as inputs; and a little for rounding."""
ROUNDING = 1e-6
"""In votes: more than float64 can lose on them, at the point and at the perturbed one together."""


class Splitting(ScoredNetwork):
    """DSSN (Levine and Feizi 2021): an MLP's decisions at all split positions, and their majority.

    **Certificate.** ``2 lambda (p - 1/2)`` in l1, with ``p`` the share of split positions at which the
    MLP says "sensitive" (:mod:`.votes` has the proof). There is nothing random and nothing
    estimated: all positions are enumerated, and the MLP's arithmetic is exact where sums are concerned.
    The paper states it for inputs on the grid of 8 bits; here the smoothed classifier is defined for
    all real inputs, in a way that changes nothing on the grid, and the radius holds for every real
    perturbation. It is shortened by 6.1e-5 of itself for that, which is less than one step of the grid.

    **Base classifier.** An MLP trained on inputs seen through random splits; the paper takes ResNet-18 and
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
    default_epochs = 40
    augmentation = AugmentationPolicy(Augmentation(shift=1), Augmentation(shift=1, flip=True))
    network: SplitNetwork
    starts: Tensor

    def build(self) -> SplitNetwork:
        """And the positions of every coordinate's splits."""
        options = self.options
        self.noise = SplitNoise.of(float(self.setting["sigma"]), options.image)
        starts = cell_starts(options.dimension, self.noise.offsets, options.seed)
        self.register_buffer("starts", starts)
        return SplitNetwork(options.shape)

    @classmethod
    def settings(cls, options: Options) -> list[Setting]:
        """The paper's standard deviations."""
        return [{"sigma": sigma} for sigma in paper_sigmas(options.task)]

    def perturb(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Each input of the batch as seen through the splits of a random offset: (n, 4, d)."""
        levels = self.noise.drawn_levels(x.flatten(1), generator)
        count = self.noise.offsets
        offsets = torch.randint(count, (len(x), 1), generator=generator, device=x.device)
        return self.noise.seen(levels, (self.starts + offsets) % count)

    def finish(self, fitting: Points) -> None:
        """Round the weights, so that sums are exact."""
        self.network.round_weights()

    def train_accuracy(self, fitting: Points) -> float:
        """Of the smoothed classifier, on 200 points spread over ``fitting``."""
        some = torch.arange(0, len(fitting), max(1, len(fitting) // TRAIN_ACCURACY_POINTS))
        return accuracy(torch.from_numpy(self.surplus(fitting.x[some])), fitting.y[some])

    def score(self, x: Tensor) -> Tensor:
        """The majority's scores."""
        majority = [d.majority_score() for d in self._decisions(x)]
        return torch.tensor(majority, dtype=torch.float64)

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
