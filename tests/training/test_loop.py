"""Training: reproducible, resumable, and never outside the convex set."""

import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import featureconvex as fc
from featureconvex.errors import UserError
from featureconvex.training.checkpoint import Checkpoint
from featureconvex.training.loop import train
from featureconvex.training.points import Points
from featureconvex.training.recipes import Recipe, paper

RADIUS = Recipe("test", temperature=0.5, epochs=6, batch_size=16)
PAPER = paper("mnist-3-8").replace(epochs=4, batch_size=16, learning_rate=0.01)


def _points(n: int = 120, seed: int = 0) -> Points:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 4, generator=generator)
    return Points(x, ((x[:, 0].abs() + 0.3 * x[:, 1]) > 0.8).long())


def _model(batch_norm: bool = False) -> fc.FeatureConvexModel:
    torch.manual_seed(0)
    return fc.FeatureConvexModel(
        fc.features.Identity(), fc.nn.ConvexMLP(4, (12, 6), batch_norm=batch_norm)
    )


@pytest.mark.parametrize("recipe", [RADIUS, PAPER], ids=["radius", "paper"])
def test_same_seed_same_weights_and_learns(recipe: Recipe) -> None:
    results = []
    for _ in range(2):
        model = _model(recipe is PAPER)
        history = train(model, recipe, _points(), _points(60, 1), seed=3)
        results.append((model.state_dict(), history))
    for name, value in results[0][0].items():
        assert torch.equal(value, results[1][0][name]), name
    losses = [record["validation_loss"] for record in results[0][1]]
    assert min(losses) < losses[0]


def test_an_unwatched_run_ends_as_a_watched_one_and_is_validated_less() -> None:
    recipe, found = RADIUS.replace(settled=0.5), []
    for watched in (True, False):
        model = _model()
        history = train(model, recipe, _points(), _points(60, 1), watched=watched)
        found.append((model.state_dict(), [record.get("validation_loss") for record in history]))
    (weights, losses), (others, fewer) = found
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    assert fewer == [None] * 3 + losses[3:]


@pytest.mark.parametrize("settled", [0.0, 0.5])
def test_the_best_settled_epoch_is_kept(settled: float) -> None:
    model = _model()
    recipe = RADIUS.replace(epochs=6, learning_rate=0.5, settled=settled)
    history = train(model, recipe, _points(), _points(60, 1))[round(6 * settled) :]
    from featureconvex.training.validation import outputs

    held_out = _points(60, 1)
    result = outputs(model, held_out, 2.0)
    tau = result.calibrated().tau
    best = min(history, key=lambda record: record["validation_loss"])
    assert result.loss(tau, result.slopes * 0.5) == pytest.approx(best["validation_loss"])


def test_resuming_after_any_epoch_ends_with_the_same_weights(tmp_path: Path) -> None:
    recipe = RADIUS
    whole = _model()
    train(whole, recipe, _points(), _points(60, 1), seed=1)

    class KilledError(Exception):
        pass

    class Dying(Checkpoint):
        saves = 0

        def save(self, state: dict[str, Any]) -> None:
            super().save(state)
            self.saves += 1
            if self.saves == 2:
                raise KilledError

    path = tmp_path / "training.pt"
    with pytest.raises(KilledError):
        train(_model(), recipe, _points(), _points(60, 1), seed=1, checkpoint=Dying(path, {"a": 1}))
    torch.manual_seed(99)  # whatever state the new process is in
    resumed = fc.FeatureConvexModel(fc.features.Identity(), fc.nn.ConvexMLP(4, (12, 6)))
    history = train(
        resumed, recipe, _points(), _points(60, 1), seed=1, checkpoint=Checkpoint(path, {"a": 1})
    )
    assert len(history) == recipe.epochs
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "training.pt"
    Checkpoint(path, {"seed": 0}).save({"x": 1})
    with pytest.raises(UserError, match="another run \\(seed differ"):
        Checkpoint(path, {"seed": 1}).load()
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(UserError, match="not a readable checkpoint"):
        Checkpoint(path, {"seed": 0}).load()


def test_weights_stay_nonnegative_under_a_wild_optimiser() -> None:
    model = _model()
    train(model, RADIUS.replace(learning_rate=0.5, epochs=2), _points(), _points(60, 1))
    for layer in model.convex_net.hidden_layers:  # type: ignore[union-attr]
        assert (layer.weight >= 0).all()
        assert (layer.parametrizations.weight.original >= 0).all()  # projected, not only clamped


def test_divergence_is_named() -> None:
    points = Points(_points().x * 1e30, _points().y)
    with pytest.raises(UserError, match="diverged"):
        train(_model(), PAPER.replace(learning_rate=1e10), points, points)


SCRIPT = """
import torch
from pathlib import Path
from featureconvex.models.file import save_model
from featureconvex.training.fit import fit
from featureconvex.training.points import Points
from featureconvex.training.architectures import table_architecture
from featureconvex.training.recipes import Recipe

def job(folder, out):
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(600, 5, generator=generator, dtype=torch.float64)
    y = (x[:, 0].abs() > 0.7).long()
    architecture, cost = table_architecture(x, (16, 8), torch.device("cpu"))
    recipe = Recipe("kill", temperature=0.3, epochs=10, batch_size=16)
    fitted = fit(architecture, recipe, Points(x, y), cost=cost, folder=Path(folder))
    save_model(fitted.model, out)

if __name__ == "__main__":
    import sys
    job(*sys.argv[1:])
"""


def test_kill_9_and_the_same_job_give_the_same_model(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    job = runpy.run_path(str(script))["job"]
    process = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "killed"), str(tmp_path / "never")]
    )
    file = tmp_path / "killed" / "training.pt"
    deadline = time.monotonic() + 120
    while not file.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert file.exists()
    assert not (tmp_path / "never").exists()
    job(tmp_path / "killed", tmp_path / "resumed")
    job(tmp_path / "whole", tmp_path / "straight")
    weights = [
        (tmp_path / out / "weights.safetensors").read_bytes() for out in ("resumed", "straight")
    ]
    assert weights[0] == weights[1]
