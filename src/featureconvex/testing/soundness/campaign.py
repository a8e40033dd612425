"""The campaign: shard after shard until enough certificates were attacked, resumable at every one."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featureconvex.errors import UserError
from featureconvex.files import writable_folder, write_text
from featureconvex.progress import progress_bar
from featureconvex.testing.soundness.case import Case
from featureconvex.testing.soundness.random_cases import random_case
from featureconvex.testing.soundness.shard import Shard
from featureconvex.testing.soundness.tally import Tally
from featureconvex.testing.soundness.trained_cases import Trained, trained, trained_case, trainings

# Every so many shards a trained model.
TRAINED_EVERY = 6
SETTINGS_FILE = "settings.json"


@dataclass(frozen=True)
class Plan:
    """What decides every shard.

    Attributes:
        seed: of everything random.
        points: per random model.
        trained_points: per shard of a trained one.
        data_dir: where real data is; None: as the library finds it.
        real: whether to train on real data where it is found.
    """

    seed: int = 0
    points: int = 160
    trained_points: int = 64
    data_dir: Path | None = None
    real: bool = True

    def values(self) -> dict[str, Any]:
        """What two runs have to share to continue one another."""
        return {"seed": self.seed, "points": self.points, "trained_points": self.trained_points}


class Campaign:
    """A folder of shards.

    Args:
        folder: one file per finished shard, and the trained models.
        plan: what decides the shards.

    Raises:
        UserError: the folder holds shards of another plan.
    """

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder, self.plan = writable_folder(folder), plan
        self.trainings = [item for item in trainings(plan.data_dir) if plan.real or item.bundled]
        self._models: dict[str, Trained] = {}
        wanted = {**plan.values(), "trained": [item.name for item in self.trainings]}
        path = self.folder / SETTINGS_FILE
        if path.exists() and json.loads(path.read_text()) != wanted:
            raise UserError(
                f"{self.folder} holds shards of another campaign ({path.read_text().strip()}); "
                "choose another folder or delete it"
            )
        write_text(path, json.dumps(wanted) + "\n")

    def case(self, number: int) -> Case:
        """The case of a shard."""
        if not self.trainings or number % TRAINED_EVERY != TRAINED_EVERY - 1:
            return random_case(number - number // TRAINED_EVERY, self.plan.seed, self.plan.points)
        turn = number // TRAINED_EVERY
        training = self.trainings[turn % len(self.trainings)]
        if training.name not in self._models:
            self._models[training.name] = trained(
                training, self.plan.seed, self.folder / "models", self.plan.data_dir
            )
        return trained_case(
            self._models[training.name], turn, self.plan.seed, self.plan.trained_points
        )

    def shard(self, number: int) -> Tally:
        """A finished shard from its file, or the work itself."""
        path = self.folder / f"shard-{number:05d}.json"
        if path.exists():
            return Tally.of(json.loads(path.read_text()))
        tally = Shard(self.case(number), number).run()
        write_text(path, json.dumps(tally.values()) + "\n")
        return tally

    def shards(self, certificates: int) -> Iterator[Tally]:
        """One after the other, until so many certificates were attacked."""
        done = number = 0
        while done < certificates:
            tally = self.shard(number)
            done, number = done + tally.certificates, number + 1
            yield tally

    def run(self, certificates: int, progress: bool = False) -> "Outcome":
        """All shards, added up.

        Args:
            certificates: at least so many.
            progress: show a bar on standard error.
        """
        total, count = Tally(), 0
        with progress_bar("certificates attacked", certificates, progress) as tick:
            for tally in self.shards(certificates):
                total.add(tally)
                count += 1
                tick(tally.certificates, f"{total.violations('sound')} sound violations")
        return Outcome(total, count, self)


@dataclass(frozen=True)
class Outcome:
    """What a campaign found.

    Attributes:
        tally: everything.
        shards: models certified.
        campaign: how it came about.
    """

    tally: Tally
    shards: int
    campaign: Campaign

    def record(self) -> dict[str, Any]:
        """Plain values: totals, counts in every grouping, and the nearest points of every level."""
        tally, plan = self.tally, self.campaign.plan
        groups = ("threat", "domain", "architecture", "features", "origin", "dtype")
        return {
            **plan.values(),
            "shards": self.shards,
            "trained_models": [item.name for item in self.campaign.trainings],
            "certificates": tally.certificates,
            "certificates_sound": sum(
                line.attacked for line in tally.lines if line.level.startswith("sound")
            ),
            "violations_sound": tally.violations("sound"),
            "levels": tally.by("level"),
            "sound_rests_on": tally.by("level", "rests_on"),
            **{f"levels_by_{name}": tally.by(name, "level") for name in groups},
            "nearest": [vars(near) for near in tally.nearest],
            "refused": tally.refused,
        }
