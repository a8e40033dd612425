"""What every network with a score shares: its training's hooks, its threshold, files of former versions."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.baselines.cases import digits, options
from torch import Tensor

from featureconvex.baselines import METHODS, Options
from featureconvex.baselines.nonexpansive.linear import Linear
from featureconvex.baselines.scored_network import ScoredNetwork
from featureconvex.models.model import FeatureConvexModel
from featureconvex.training.augmentation import Augmentation, AugmentationPolicy
from featureconvex.training.points import Points

SCORED = [kind for kind in METHODS.values() if issubclass(kind, ScoredNetwork)]


class Watched(Linear):
    """Writes down when its hooks are called."""

    name = "watched"

    def build(self) -> FeatureConvexModel:
        self.calls: list[str] = []
        return super().build()

    def prepare(self, fitting: Points) -> Any:
        self.calls.append("prepare")
        return super().prepare(fitting)

    def perturb(self, x: Tensor, generator: torch.Generator) -> Tensor:
        self.calls.append("perturb")
        return x

    def project(self) -> None:
        self.calls.append("project")

    def finish(self, fitting: Points) -> None:
        self.calls.append("finish")
        assert float(self.tau) == 0

    def facts(self) -> dict[str, Any]:
        return {"noted": 1}


def test_hooks_are_called_in_their_order() -> None:
    method = Watched(options(2), {})
    facts = method.fit(*digits()[:2])
    steps = 2 * (240 // 128)
    assert method.calls == ["prepare", *["perturb", "project"] * steps, "finish"]
    assert facts.keys() == {"epochs", "noted", "train_accuracy"}
    assert float(method.tau) != 0


@pytest.mark.parametrize("kind", SCORED, ids=lambda kind: kind.name)
def test_building_hangs_on_the_seed_alone_and_leaves_torchs_alone(
    kind: type[ScoredNetwork],
) -> None:
    def built(seed: int) -> ScoredNetwork:
        choices = Options(shape=(1, 8, 8), seed=seed)
        return kind(choices, kind.settings(choices)[0])

    before = torch.get_rng_state()
    first = built(3).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(1)
    again = built(3).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    if kind is not Linear:
        assert any(
            not torch.equal(first[name], value) for name, value in built(4).state_dict().items()
        )


@pytest.mark.parametrize(
    "kind", [kind for kind in SCORED if kind.former_names], ids=lambda kind: kind.name
)
def test_files_with_former_names_are_read(kind: type[ScoredNetwork], tmp_path: Path) -> None:
    setting = kind.settings(options(1))[0]
    method, again = (kind(options(1), setting) for _ in range(2))
    for value in method.state_dict().values():
        value += 1
    method.save(tmp_path / "now")
    tensors = load_file(tmp_path / "now")
    former = {new: old for old, new in kind.former_names.items()}
    renamed = {}
    for name, value in tensors.items():
        for new, old in former.items():
            name = old + name.removeprefix(new) if name.startswith(new) else name
        renamed[name] = value
    assert renamed.keys() != tensors.keys()
    save_file(renamed, tmp_path / "former")
    again.load(tmp_path / "former")
    assert all(torch.equal(v, method.state_dict()[k]) for k, v in again.state_dict().items())


def test_augmentation_is_chosen_by_the_number_of_channels() -> None:
    policy = AugmentationPolicy(Augmentation(warp=0.1), Augmentation(flip=True))
    assert policy.of((30,)) == Augmentation()
    assert policy.of((1, 8, 8)) == policy.grey
    assert policy.of((3, 8, 8)) == policy.colour
