"""The campaign: shard after shard until enough certificates were attacked, resumable at every one."""

import json
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from featureconvex.errors import UserError
from featureconvex.files import writable_folder, write_text
from featureconvex.progress import progress_bar
from featureconvex.testing.soundness.cases.case import Case
from featureconvex.testing.soundness.cases.random import random_case
from featureconvex.testing.soundness.cases.random_tables import table_case
from featureconvex.testing.soundness.cases.trained import (
    Trained,
    Training,
    trained,
    trained_case,
    trainings,
)
from featureconvex.testing.soundness.cases.wild import wild_case
from featureconvex.testing.soundness.shard import Shard
from featureconvex.testing.soundness.tally import Tally

# Of so many shards the last is a trained model, and others have places of their own.
TRAINED_EVERY = 6
WILD_AT, TABLE_AT = 2, 4
# Raised where the cases change: shards of other cases are not continued.
CASES = 3
SETTINGS_FILE = "settings.json"
# Origins of models whose float margins are rounding.
BUILT_TO_BREAK = ("cancelling", "rounding trap")


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
        return {
            "cases": CASES,
            "seed": self.seed,
            "points": self.points,
            "trained_points": self.trained_points,
        }


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
        turn, place = divmod(number, TRAINED_EVERY)
        if place == WILD_AT:
            return wild_case(turn, self.plan.seed, self.plan.points)
        if place == TABLE_AT:
            return table_case(turn, self.plan.seed, self.plan.points)
        if not self.trainings or place != TRAINED_EVERY - 1:
            before = turn * (TRAINED_EVERY - 3) + place - (place > WILD_AT)
            return random_case(before, self.plan.seed, self.plan.points)
        item = self._trained(self.trainings[turn % len(self.trainings)])
        return trained_case(item, turn, self.plan.seed, self.plan.trained_points)

    def _trained(self, training: Training) -> Trained:
        if training.name not in self._models:
            self._models[training.name] = trained(
                training, self.plan.seed, self.folder / "models", self.plan.data_dir
            )
        return self._models[training.name]

    def shard(self, number: int) -> Tally:
        """A finished shard from its file, or the work itself."""
        path = self.folder / f"shard-{number:05d}.json"
        if path.exists():
            return Tally.of(json.loads(path.read_text()))
        tally = Shard(self.case(number), number).run()
        write_text(path, json.dumps(tally.values()) + "\n")
        return tally

    def shards(self, certificates: int, jobs: int = 1) -> Iterator[Tally]:
        """In their order, until so many certificates were attacked; ``jobs`` processes work ahead."""
        done = number = 0
        if jobs == 1:
            while done < certificates:
                tally = self.shard(number)
                done, number = done + tally.certificates, number + 1
                yield tally
            return
        for item in self.trainings:
            # Once, and not by every process.
            self._trained(item)
        with ProcessPoolExecutor(jobs, get_context("spawn"), initializer=_one_thread) as pool:
            ahead: deque[Future[None]] = deque()
            while done < certificates:
                while len(ahead) < 2 * jobs:
                    ahead.append(pool.submit(_work, self.folder, self.plan, number + len(ahead)))
                ahead.popleft().result()
                tally = self.shard(number)
                done, number = done + tally.certificates, number + 1
                yield tally
            for waiting in ahead:
                waiting.cancel()

    def run(self, certificates: int, progress: bool = False, jobs: int = 1) -> "Outcome":
        """All shards, added up.

        Args:
            certificates: at least so many.
            progress: show a bar on standard error.
            jobs: processes; the same shards for any number.
        """
        total, count = Tally(), 0
        with progress_bar("certificates attacked", certificates, progress) as tick:
            for tally in self.shards(certificates, jobs):
                total.add(tally)
                count += 1
                tick(tally.certificates, f"{total.violations('sound')} sound violations")
        return Outcome(total, count, self)


def _one_thread() -> None:
    torch.set_num_threads(1)


def _work(folder: Path, plan: Plan, number: int) -> None:
    """In a process of its own: one shard, left in its file."""
    global _CAMPAIGN
    if _CAMPAIGN is None:
        _CAMPAIGN = Campaign(folder, plan)
    _CAMPAIGN.shard(number)


# Of a working process: its trained models are loaded once.
_CAMPAIGN: Campaign | None = None


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
            "violations_gross": tally.gross("", without=BUILT_TO_BREAK),
            "violations_of_checks": sum(check.violations for check in tally.checks),
            "checks": tally.checked(),
            "levels": tally.by("level"),
            "sound_rests_on": tally.by("level", "rests_on"),
            **{f"levels_by_{name}": tally.by(name, "level") for name in groups},
            "nearest": [vars(near) for near in tally.nearest],
            "refused": tally.refused,
        }
