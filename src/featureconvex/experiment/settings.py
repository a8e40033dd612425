"""What a user may choose for a run."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from featureconvex.errors import UserError
from featureconvex.given import one_of
from featureconvex.norms import norm_name
from featureconvex.training.recipes import RECIPES, Recipe, check_values


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """What a user may choose for every run; None leaves the choice to the recipe.

    Attributes:
        norm: exponent of the norm to train for and report first.
        temperature: trades clean accuracy (small) against radius (large).
        epochs: of training.
        seed: of everything random.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        priced: nobody named the norm, so of a table that attacker counts who pays for each column, and it
            keeps its columns.
    """

    norm: float = 2.0
    temperature: float | None = None
    epochs: int | None = None
    seed: int = 0
    device: str = "auto"
    priced: bool = False

    def __post_init__(self) -> None:
        if self.norm not in (1, 2, math.inf):
            raise UserError(f"run trains and reports norm 1, 2 or inf, got {self.norm:g}")
        if self.seed < 0:
            raise UserError(f"a seed must be >= 0, got {self.seed}")
        check_values(**self._changes)

    def values(self) -> dict[str, Any]:
        """What decides the result but for rounding, as plain values for a record: no device.

        ``priced`` only where it is so, as older records have it.
        """
        values = {**asdict(self), "norm": norm_name(self.norm)}
        del values["device"]
        if not self.priced:
            del values["priced"]
        return values

    def resolve(self, task: str, shape: tuple[int, ...]) -> Recipe:
        """The recipe for a task and the shape of its training inputs, with the user's changes."""
        return RECIPES[self._recipe](task, shape, self.norm).replace(**self._changes)

    @property
    def _recipe(self) -> str:
        """The name of the recipe."""
        return "default"

    @property
    def _changes(self) -> dict[str, Any]:
        """What replaces values of the recipe."""
        names = ("temperature", "other_temperature", "epochs")
        chosen = {name: getattr(self, name, None) for name in names}
        return {name: value for name, value in chosen.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class Settings(RunSettings):
    """What a user may choose for a run with a sensitive class; recipe paper has one model for all norms.

    Attributes:
        recipe: ``"default"``, ``"fixed"`` or ``"paper"``.
        other_temperature: of the other class, which only has to stay on its side.
        counts: ``"log1p"`` trains on logarithms of counts of bytes; None on the counts.
        target_fpr: calibrate for this false-positive rate instead of balancing the classes.
    """

    recipe: str = "default"
    target_fpr: float | None = None
    other_temperature: float | None = None
    counts: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.target_fpr is not None and not 0 <= self.target_fpr <= 1:
            raise UserError(f"a false-positive rate is in [0, 1], got {self.target_fpr}")
        chosen = (self.temperature, self.other_temperature)
        if self.recipe == "paper" and any(value is not None for value in chosen):
            raise UserError("recipe paper has no temperature; use recipe default")
        if self.counts is not None:
            one_of("counts", self.counts, ("log1p",))
        if self.recipe not in RECIPES:
            raise UserError(f"unknown recipe {self.recipe!r}; use one of {', '.join(RECIPES)}")

    @property
    def _recipe(self) -> str:
        return self.recipe
