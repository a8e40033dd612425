"""The public tables below ``tables/`` of the data folder, as data sets with two classes."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from featureconvex.data import Dataset, find_task, resolve_data_dir
from featureconvex.errors import UserError

SENSITIVE, OTHER = "sensitive", "other"


@dataclass(frozen=True)
class PublicTable:
    """A file with many classes, and which of them are sensitive together.

    Attributes:
        file: below ``tables/``.
        label: the column of the classes.
        classes: the sensitive ones; with ``all_but`` all others are.
        drop: columns that are no features.
    """

    file: str
    label: str
    classes: tuple[str, ...]
    all_but: bool = False
    drop: tuple[str, ...] = ()


TABLES = {
    "phishing": PublicTable("phishing.csv", "is_phishing", ("1",)),
    "ionosphere": PublicTable("ionosphere.csv", "Class", ("bad",)),
    "breast-cancer-original": PublicTable(
        "breast-cancer-original.csv", "Class", ("malignant",), drop=("Id",)
    ),
    "dna": PublicTable("dna.csv.gz", "Class", ("ei",)),
    "satellite": PublicTable("satellite.csv.gz", "classes", ("cotton crop",)),
    "income": PublicTable("income.csv", "INCOME", ("[75.000-", "[50.000-75.000)")),
    "letter": PublicTable("letter.csv.gz", "lettr", tuple("ABCDEFGHIJKLM")),
    "shuttle": PublicTable("shuttle.csv.gz", "Class", ("Rad.Flow",), all_but=True),
}


def public_table(name: str, data_dir: Path | None) -> Dataset:
    """One of ``TABLES``; rows with gaps are left out.

    Raises:
        UserError: the file is not there.
    """
    table = TABLES[name]
    path = resolve_data_dir(data_dir) / "tables" / table.file
    if not path.is_file():
        raise UserError(
            f"{path} is missing: the study reads the public table {name} there; put it there, point "
            "--data-dir at a folder that has it, or add --quick"
        )
    frame = pd.read_csv(path).drop(columns=list(table.drop)).dropna()
    named = frame.pop(table.label).astype(str).isin(table.classes) != table.all_but
    frame["class"] = named.map({True: SENSITIVE, False: OTHER})
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{name}.csv"
        frame.to_csv(file, index=False)
        return find_task(str(file), "class", SENSITIVE).load()
