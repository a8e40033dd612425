"""Detector, then families: what both make of every test file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from featureconvex.certificates import Lp, certify
from featureconvex.data import Split
from featureconvex.data.named_tasks.malimg import FOLDER
from featureconvex.norms import NORMS
from featureconvex.results.statistics.intervals import median, share
from featureconvex.study.cascade.collection import collected
from featureconvex.study.cascade.families import Families, malimg
from featureconvex.study.small_models.spec import ModelSpec
from featureconvex.study.small_models.trained import as_points, recipe_of
from featureconvex.study.study import Row, Settings
from featureconvex.training.fit import fit

RECIPE: dict[str, Any] = {"norm": 1, "epochs": 20, "batch_size": 64, "share": 1 / 8}
MODEL = ModelSpec("identity", hidden=(200, 50)).values()
"""The paper's network, its radius trained in l1: the sum of all changes to the picture's bytes."""
MOST, QUICK_MOST, TREES = 300, 20, 300
MISSING = f"there is no {FOLDER} in the data folder; `featureconvex tasks` says how to get it"


def cells(quick: bool, seed: int) -> list[Settings]:
    """Malimg, where the user has it, and the files of this machine."""
    base = {"model": MODEL, "recipe": RECIPE, "seed": seed, "trees": TREES}
    if quick:
        small = {"recipe": {**RECIPE, "epochs": 4}, "trees": 20}
        return [{"source": "python", "most": QUICK_MOST, **base, **small}]
    return [{"source": "machine", "most": MOST, **base}, {"source": "malimg", "most": None, **base}]


def work(settings: Settings, data_dir: Path | None) -> Row:
    """Both classifiers on one source; ``missing`` says how to get it where it is not here."""
    seed = settings["seed"]
    if settings["source"] == "malimg":
        found = malimg(data_dir)
        if found is None:
            return {"missing": MISSING}
        train, test = found
    else:
        everywhere = settings["source"] == "machine"
        train, test = collected(settings["most"], seed, everywhere).halves()
    return cascade(train, test, settings)


def cascade(train: Families, test: Families, settings: Settings) -> Row:
    """Train on one half, and answer for the other.

    Every flagged file goes to the family classifier, which knows all families but the clean one; every
    other is called clean.
    """
    seed, recipe = settings["seed"], recipe_of(settings["recipe"])
    points, tested = (as_points(Split(half.images, half.y)) for half in (train, test))
    architecture = ModelSpec.of(settings["model"]).architecture(points.row_shape, recipe.norm)
    model = fit(architecture, recipe, points, seed=seed).model
    certificates = certify(model, tested.x, [Lp(p) for p in NORMS])
    flagged = certificates[0].margin > 0
    malware = train.y == 1
    forest = RandomForestClassifier(settings["trees"], random_state=seed)
    flat = train.images.reshape(len(train.images), -1)
    forest.fit(flat[malware], train.family[malware])
    answer = np.full(len(test.family), test.clean, dtype=object)
    if flagged.any():
        answer[flagged] = forest.predict(test.images.reshape(len(flagged), -1)[flagged])
    names = [test.clean, *sorted(set(train.family[malware]))]
    place = {name: k for k, name in enumerate(names)}
    confusion = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(confusion, ([place[f] for f in test.family], [place[a] for a in answer]), 1)
    return {
        "families": names,
        "n_train": len(train.family),
        "confusion": confusion,
        "detector": {
            "flagged_malware": share(
                int(flagged[test.y == 1].sum()), int((test.y == 1).sum())
            ).table(),
            "passed_clean": share(
                int((~flagged[test.y == 0]).sum()), int((test.y == 0).sum())
            ).table(),
        },
        "cascade_accuracy": share(int(np.trace(confusion)), len(test.family)).table(),
        "family_accuracy_of_flagged": _of_flagged(confusion),
        "by_family": {name: _family(name, test, flagged, certificates) for name in names[1:]},
    }


def _of_flagged(confusion: np.ndarray) -> dict[str, float]:
    inner = confusion[1:, 1:]
    return share(int(np.trace(inner)), max(int(inner.sum()), 1)).table()


def _family(
    name: str, test: Families, flagged: np.ndarray, certificates: Sequence[Any]
) -> dict[str, Any]:
    own = test.family == name
    hit = own & flagged
    return {
        "flagged": share(int(hit.sum()), int(own.sum())).table(),
        "files": int(own.sum()),
        "radius": {
            c.threat.name: {**median(c.radius[hit]).table(), "all": np.sort(c.radius[hit]).round(6)}
            for c in certificates
        },
    }


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """By source."""
    return {
        "sources": {
            row["settings"]["source"]: {k: v for k, v in row.items() if k != "revision"}
            for row in rows
        }
    }
