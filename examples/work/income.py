"""How many answers must a household with a high income change before it counts as one without?

    python -m examples.work.income income.csv OUT

A questionnaire of categories, with gaps. The two highest of nine incomes are the sensitive class. Answers
that a registry holds (sex, age, ethnic class) cannot change; any other is one false answer, and
what is not answered stays so.
"""

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from examples.work.described import answer

HIGH = ("[50.000-75.000)", "[75.000-")
REGISTERED = ("SEX", "AGE", "ETHNIC.CLASS")
# Larger than the recipe chooses, which weighs accuracy more: here single answers must not be enough.
TEMPERATURE = 10.0


def schema(columns: list[str]) -> str:
    """Every column a category in which nothing is a level of its own."""
    lines = ['label = "INCOME"\nsensitive = "high"\nunit = "false answers"\n']
    for name in columns:
        attacker = "fixed" if name in REGISTERED else "free"
        lines.append(
            f'[columns."{name}"]\ntype = "category"\ncost = 1.0\nattacker = "{attacker}"\n'
            'missing = "level"\n'
        )
    return "".join(lines)


def main(data: Path, out: Path, epochs: int | None = None) -> dict[str, Any]:
    """All of it; the numbers."""
    # "None" is an answer here: no children.
    table = pd.read_csv(data, keep_default_na=False, dtype=str)
    table["INCOME"] = table["INCOME"].isin(HIGH).map({True: "high", False: "other"})
    text = schema([name for name in table.columns if name != "INCOME"])
    return answer("income", table, text, out, (1.0, 2.0, 3.0), TEMPERATURE, epochs)


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2])), indent=1))
