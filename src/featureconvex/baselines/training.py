"""Training of ordinary networks for the baselines: Adam, one-cycle rate, resumable."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.optim.lr_scheduler import OneCycleLR

from featureconvex.errors import UserError
from featureconvex.progress import Ticker, silent
from featureconvex.training.augmentation import Augmentation
from featureconvex.training.checkpoint import Checkpoint
from featureconvex.training.points import Points

Loss = Callable[[nn.Module, Tensor, Tensor, float], Tensor]
"""``(network, x, sign, done) -> loss``: ``sign`` is +1 for sensitive, -1 for other; ``done`` in
[0, 1] is the share of training done so far, for schedules."""
Targets = Callable[[Tensor, torch.dtype], Tensor]
"""``(labels, dtype) -> targets`` of the loss."""
Perturb = Callable[[Tensor, torch.Generator], Tensor]
"""``(x, generator) -> x``: noise or quantisation, drawn anew in every step."""


def logistic(network: nn.Module, x: Tensor, sign: Tensor, done: float) -> Tensor:
    """Binary cross-entropy on the scores (n,)."""
    del done
    return softplus(-sign * network(x)).mean()


def signs(y: Tensor, dtype: torch.dtype) -> Tensor:
    """+1 for sensitive, -1 for other."""
    return y.to(dtype) * 2 - 1


def train_network(
    network: nn.Module,
    points: Points,
    *,
    epochs: int,
    seed: int,
    loss: Loss,
    perturb: Perturb,
    augmentation: Augmentation,
    learning_rate: float,
    weight_decay: float,
    batch_size: int,
    after_step: Callable[[], None],
    folder: Path | None = None,
    tick: Ticker = silent,
    targets: Targets = signs,
) -> None:
    """Train ``network``, (n, *shape) -> (n,), in place; leaves it in eval mode.

    Args:
        network: scores, larger for the sensitive class.
        points: to fit.
        epochs: passes over the points.
        seed: of the order and of everything drawn; initial weights are the caller's.
        loss: of a batch.
        perturb: changes a batch's inputs, after the augmentation.
        augmentation: of images.
        learning_rate: the peak of the one-cycle rate.
        weight_decay: as Adam's l2 penalty.
        batch_size: of a step.
        after_step: called after every step, to project weights, say.
        folder: the training continues from its last epoch here after a kill.
        tick: called with 1 and words after every epoch.
        targets: what the loss is given of labels, in place of ``sign``.

    Raises:
        UserError: the loss is no longer finite.
    """
    device = next(network.parameters()).device
    x, y = points.x.to(device), points.y.to(device)
    generator = torch.Generator(device).manual_seed(seed)
    order_generator = torch.Generator().manual_seed(seed)
    size = min(batch_size, len(x))
    steps = len(x) // size
    adam = torch.optim.Adam(network.parameters(), lr=learning_rate, weight_decay=weight_decay)
    scheduler = OneCycleLR(adam, learning_rate, total_steps=max(2, steps * epochs))
    fingerprint = {"seed": seed, "epochs": epochs, "points": len(x), "rate": learning_rate}
    checkpoint = Checkpoint(folder / "training.pt" if folder else None, fingerprint)
    parts: dict[str, Any] = {"network": network, "adam": adam, "scheduler": scheduler}
    done = _resume(checkpoint, parts, generator, order_generator)
    tick(done, "")
    for epoch in range(done, epochs):
        network.train()
        total = 0.0
        order = torch.randperm(len(x), generator=order_generator).to(device)
        for step in range(steps):
            rows = order[step * size : (step + 1) * size]
            batch = perturb(augmentation(x[rows], order_generator), generator)
            progress = (epoch + step / steps) / epochs
            value = loss(network, batch, targets(y[rows], batch.dtype), progress)
            adam.zero_grad(set_to_none=True)
            value.backward()  # type: ignore[no-untyped-call]
            adam.step()
            after_step()
            scheduler.step()
            total += value.item()
        if not math.isfinite(total):
            raise UserError(f"training diverged in epoch {epoch + 1}; lower the learning rate")
        checkpoint.save(_state(epoch + 1, parts, generator, order_generator))
        tick(1, f"loss {total / steps:.3f}")
    network.eval()
    if checkpoint.path is not None:
        checkpoint.path.unlink(missing_ok=True)


def _state(done: int, parts: dict[str, Any], *generators: torch.Generator) -> dict[str, Any]:
    states = {name: part.state_dict() for name, part in parts.items()}
    return {**states, "done": done, "generators": [g.get_state() for g in generators]}


def _resume(checkpoint: Checkpoint, parts: dict[str, Any], *generators: torch.Generator) -> int:
    """Load what a killed training left; the number of finished epochs."""
    saved = checkpoint.load()
    if saved is None:
        return 0
    for name, part in parts.items():
        part.load_state_dict(saved[name])
    for generator, state in zip(generators, saved["generators"], strict=True):
        generator.set_state(state)
    return int(saved["done"])
