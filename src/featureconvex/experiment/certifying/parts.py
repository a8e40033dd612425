"""Rows as they come: parts beside the file that they will be, so that a killed job continues."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from featureconvex.errors import UserError
from featureconvex.files import replacing, write_text

PLAN = "plan.json"


@dataclass(frozen=True)
class Parts:
    """Numbered parts of a table of rows.

    Attributes:
        out: the file that they become.
    """

    out: Path

    @property
    def folder(self) -> Path:
        """Where the parts are until the file is whole."""
        return self.out.with_name(f"{self.out.name}.parts")

    def begin(self, plan: dict[str, object]) -> bool:
        """Whether parts of just this job are there; those of another are removed.

        Raises:
            UserError: the folder's name is taken by something else.
        """
        text = json.dumps(plan, sort_keys=True, indent=1)
        stored = self.folder / PLAN
        if stored.is_file() and stored.read_text(encoding="utf-8") == text:
            return True
        if self.folder.exists() and not stored.is_file():
            raise UserError(
                f"{self.folder} is in the way: rows are kept there until {self.out.name} is whole; "
                "move it, or choose another --out"
            )
        shutil.rmtree(self.folder, ignore_errors=True)
        write_text(stored, text)
        return False

    def read(self, number: int) -> pd.DataFrame | None:
        """A part, or None where it is not there."""
        path = self._path(number)
        return pd.read_parquet(path) if path.is_file() else None

    def write(self, number: int, frame: pd.DataFrame) -> None:
        """Keep a part, whole or not at all."""
        with replacing(self._path(number)) as scratch:
            frame.to_parquet(scratch, index=False)

    def finish(self, numbers: list[int]) -> None:
        """Make the file from these parts, in this order, and remove all."""
        with replacing(self.out) as scratch:
            if self.out.suffix == ".csv":
                with scratch.open("w", encoding="utf-8", newline="") as stream:
                    for number in numbers:
                        frame = pd.read_parquet(self._path(number))
                        frame.to_csv(stream, index=False, header=number == numbers[0])
            else:
                self._merge(numbers, scratch)
        self.drop()

    def drop(self) -> None:
        """Remove all parts."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _merge(self, numbers: list[int], path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        paths = [self._path(number) for number in numbers]
        # Columns that are empty in one part have no type there.
        schema = pa.unify_schemas(
            [pq.read_schema(part) for part in paths], promote_options="permissive"
        )
        with pq.ParquetWriter(path, schema) as writer:
            for part in paths:
                writer.write_table(pq.read_table(part).cast(schema))

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:08d}.parquet"
