"""What recipe default should learn before the network of a table: cross-validated on training rows only.

    python benchmarks/tables/table_maps.py [--only spambase] [--folds 3]

Of every set only the training split is looked at: three folds, each judged by a model of the other two.
Two attackers judge: l2 in training standard deviations, whose radius is trained, and the one that a report
states first where nobody described another, the total price at one per standard deviation and one per edit.
Needs the real data (``FEATURECONVEX_DATA``) but for breast-cancer. Writes ``results/table_maps.json``, set
by set, for the table of ``docs/training.md``.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import StratifiedKFold

from featureconvex.attacker import Attacker, schema_of_columns
from featureconvex.certificates import Lp, certify
from featureconvex.data import Dataset, find_task, resolve_data_dir
from featureconvex.data.tables.columns import Column
from featureconvex.files import write_text
from featureconvex.progress import progress_bar
from featureconvex.provenance import provenance
from featureconvex.results.strict_json import dump_json, load_json
from featureconvex.training.architectures import table_architecture
from featureconvex.training.fit import fit
from featureconvex.training.points import Points
from featureconvex.training.recipes import default, fixed
from table_files import TABLES, arguments_of

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "results" / "table_maps.json"
SETS = ("breast-cancer", "spambase", *(name for name in TABLES if name != "income"))
VARIANTS = {
    "default, learned map": (default, "orthogonal"),
    "default, columns": (default, "identity"),
    "fixed": (fixed, "identity"),
}
HIDDEN = (200, 50)
MOST = 6000
"""Rows of a set, the first of a shuffle."""


def loaded(name: str, data_dir: Path) -> Dataset:
    """A set."""
    if name in ("breast-cancer", "spambase"):
        return find_task(name).load(data_dir)
    with tempfile.TemporaryDirectory() as scratch:
        chosen = arguments_of(name, data_dir / "tables", Path(scratch))
        options = dict(zip(chosen[1::2], chosen[2::2], strict=True))
        keep = (options["--keep"],) if "--keep" in options else ()
        label, sensitive = options["--label"], options["--sensitive"]
        return find_task(chosen[0], label, sensitive, keep, "drop").load()


def judged(dataset: Dataset, variant: str, fold: int, folds: int) -> dict[str, Any]:
    """One model, on the rows of the fold that it did not see."""
    x, y = torch.from_numpy(dataset.train.x), dataset.train.y.astype(np.int64)
    order = np.random.default_rng(0).permutation(len(y))[:MOST]
    x, y = x[torch.from_numpy(order)], y[order]
    split = StratifiedKFold(folds, shuffle=True, random_state=0).split(y, y)
    seen, held = list(split)[fold]
    recipe_of, name = VARIANTS[variant]
    points = Points(x[torch.from_numpy(seen)], torch.from_numpy(y[seen]))
    architecture, cost = table_architecture(points.x, HIDDEN, torch.device("cpu"), name)
    recipe = recipe_of(tuple(points.x.shape), 2.0)
    model = fit(architecture, recipe, points, seed=fold, cost=cost).model.double()
    others = x[torch.from_numpy(held)]
    names = dataset.feature_names or []
    columns = dataset.columns or tuple(Column(part, "number") for part in names)
    attacker = Attacker(schema_of_columns(columns), columns, cost.numpy())
    moved = certify(model, others, Lp(2, cost))
    priced = certify(model, others, attacker.threat, attacker.domain, "domain")
    flagged, sensitive = moved.margin > 0, y[held] == 1
    right = flagged & sensitive
    return {
        "accuracy": float((flagged == sensitive).mean()),
        "balanced_accuracy": float(
            (flagged[sensitive].mean() + 1 - flagged[~sensitive].mean()) / 2
        ),
        "median_l2": float(np.median(moved.radius[right])),
        "median_price": float(np.median(priced.radius[right])),
    }


def main() -> None:
    """Every set and variant, medians over folds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=SETS, default=list(SETS))
    parser.add_argument("--folds", type=int, default=3)
    options = parser.parse_args()
    data_dir = resolve_data_dir()
    lines = load_json(RESULT)["lines"] if RESULT.exists() else []
    for name in options.only:
        dataset = loaded(name, data_dir)
        with progress_bar(name, len(VARIANTS) * options.folds) as tick:
            for variant in VARIANTS:
                folds = []
                for fold in range(options.folds):
                    folds.append(judged(dataset, variant, fold, options.folds))
                    tick(1, variant)
                line = {"set": name, "variant": variant, "rows": min(MOST, len(dataset.train.y))}
                line |= {key: float(np.mean([one[key] for one in folds])) for key in folds[0]}
                line["folds"] = folds
                lines = [one for one in lines if (one["set"], one["variant"]) != (name, variant)]
                lines.append(line)
                print({key: value for key, value in line.items() if key != "folds"}, flush=True)
        lines.sort(key=lambda one: SETS.index(one["set"]))
        write_text(RESULT, dump_json({"lines": lines, "provenance": provenance()}))


if __name__ == "__main__":
    main()
