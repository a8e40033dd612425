"""From a table and a schema to numbers and one picture: what the worked examples of tables share."""

import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import featureconvex as fc
from featureconvex.data import find_task
from featureconvex.experiment import Settings, run
from featureconvex.results.folder import read_run

# Rows that the picture's attack is tried on.
ATTACKED = 150


def answer(
    name: str,
    table: pd.DataFrame,
    schema: str,
    out: Path,
    budgets: tuple[float, ...],
    temperature: float | None = None,
    epochs: int | None = None,
) -> dict[str, Any]:
    """Train on a table, certify against its attacker, attack, and draw.

    Writes ``NAME.csv``, ``NAME.toml``, the folder ``run`` with the report, ``NAME.json`` and ``NAME.png``.

    Args:
        name: of the files.
        table: all rows, with the label.
        schema: TOML, as ``featureconvex inspect`` writes it and a person edits it.
        out: a folder.
        budgets: prices at which the certified share is wanted.
        temperature: of training, in l1 over standard deviations; None: chosen on held-out points.
        epochs: of training; None: the recipe's.

    Returns:
        The numbers: accuracies, and over the flagged sensitive test rows the certified share at each
        budget, the median certified price, and the median price of the evasions found.
    """
    out.mkdir(parents=True, exist_ok=True)
    table.to_csv(out / f"{name}.csv", index=False)
    (out / f"{name}.toml").write_text(schema, encoding="utf-8")
    task = find_task(str(out / f"{name}.csv"), schema=out / f"{name}.toml")
    run(task, out / "run", Settings(norm=1, epochs=epochs, temperature=temperature))
    found = read_run(out / "run")
    assert found.review is not None
    flagged = found.rows[(found.rows.label == 1) & (found.rows.predicted == 1)]
    # As text, as the file has it: pandas would take the answer "None" for a gap.
    written = pd.read_csv(out / f"{name}.csv", dtype=str, keep_default_na=False)
    rows = written.iloc[flagged["row"]]
    detector = fc.load(out / "run" / "model")
    price = detector.certify(rows, level="tight").radius
    attacked = detector.attack(rows[:ATTACKED])
    numbers = {
        "attacker": found.review["sentence"],
        "accuracy": float((found.rows.label == found.rows.predicted).mean()),
        "baselines": found.review["baselines"],
        "flagged": len(rows),
        # A radius of r is about budgets below r.
        "certified_share": {str(budget): float((price > budget).mean()) for budget in budgets},
        "median_certified": float(np.quantile(price, 0.5, method="lower")),
        "median_evasion": float(np.median(np.where(attacked.found, attacked.distance, np.inf))),
        "most_at_risk": found.review["at_risk"][:3],
    }
    text = json.dumps(numbers, indent=1, ensure_ascii=False)
    (out / f"{name}.json").write_text(text, encoding="utf-8")
    _draw(price, attacked, json.loads(text), out / f"{name}.png", _unit(found.review))
    return numbers


def _unit(review: Any) -> str:
    return str(review["budgets"][0]["unit"])


def _draw(price: Any, attacked: Any, numbers: dict[str, Any], path: Path, unit: str) -> None:
    """The share that keeps its flag: proved, and as far as an attack can see."""
    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    evasion = np.where(attacked.found, attacked.distance, np.inf)
    finite = np.concatenate((price[np.isfinite(price)], evasion[np.isfinite(evasion)]))
    top = float(np.quantile(finite, 0.98)) if len(finite) else 1.0
    grid = np.linspace(0, top, 500)
    proved, left = ((values[:, None] > grid).mean(0) for values in (price, evasion))
    axes.step(grid, proved, where="post", label="proved: no change of this price helps")
    axes.step(grid, left, where="post", ls="--", label="left over by the cheapest evasions found")
    axes.fill_between(grid, proved, left, step="post", alpha=0.15)
    title = f"accuracy {100 * numbers['accuracy']:.1f} %"
    axes.set(
        xlabel=unit, ylabel="share of flagged rows", ylim=(0, 1.02), xlim=(0, top), title=title
    )
    axes.legend(loc="upper right")
    figure.savefig(path, dpi=120)
    plt.close(figure)
