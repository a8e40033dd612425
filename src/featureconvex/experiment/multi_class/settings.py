"""What a user may choose for a run of several classes."""

from dataclasses import dataclass
from typing import Any

from featureconvex.experiment.settings import RunSettings
from featureconvex.results.multi_class.record import OWN


@dataclass(frozen=True, kw_only=True)
class ClassSettings(RunSettings):
    """As for every run: the recipe is ``default``, and no threshold is chosen by a rate."""

    def values(self) -> dict[str, Any]:
        """As of every run, and what tells the two kinds apart."""
        return {"multi_class": OWN, **super().values()}
