"""The public tables below ``tables/`` of the data folder, each as the command line reads it.

Tables with many classes are split in two as ``HALVES`` says.
"""

from pathlib import Path

import pandas as pd

# Name -> file, label column, sensitive class.
TABLES = {
    "phishing": ("phishing.csv", "is_phishing", "1"),
    "ionosphere": ("ionosphere.csv", "Class", "bad"),
    "breast-cancer-original": ("breast-cancer-original.csv", "Class", "malignant"),
    "dna": ("dna.csv.gz", "Class", "ei"),
    "satellite": ("satellite.csv.gz", "classes", "cotton crop"),
}
# Name -> a column that is an id.
NO_FEATURE = {"breast-cancer-original": "Id"}
# Name -> file, label column, the classes that are sensitive together.
HALVES = {
    "letter": ("letter.csv.gz", "lettr", [chr(ord("A") + i) for i in range(13)]),
    "shuttle": ("shuttle.csv.gz", "Class", None),
    "income": ("income.csv", "INCOME", ["[75.000-", "[50.000-75.000)"]),
}
COMMON = "Rad.Flow"


def halved(file: Path, label: str, classes: list[str] | None, out: Path) -> Path:
    """A table with two classes, 1 for those named (None: all but the common one)."""
    table = pd.read_csv(file).dropna()
    values = table.pop(label)
    table["sensitive"] = (values.isin(classes) if classes else values != COMMON).astype(int)
    table.to_csv(out, index=False)
    return out


def arguments_of(name: str, tables: Path, scratch: Path) -> list[str]:
    """What a command takes for a data set: a named task, or a file and its options."""
    if name in TABLES:
        file, label, sensitive = TABLES[name]
        chosen = ["--label", label, "--sensitive", sensitive, "--missing", "drop"]
        if name in NO_FEATURE:
            chosen += ["--keep", NO_FEATURE[name]]
        return [str(tables / file), *chosen]
    if name in HALVES:
        file, label, classes = HALVES[name]
        half = halved(tables / file, label, classes, scratch / f"{name}.csv")
        return [str(half), "--label", "sensitive", "--sensitive", "1"]
    return [name]
