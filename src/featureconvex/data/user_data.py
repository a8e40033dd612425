"""A user's own table or folder, and what they say of how it is read."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from featureconvex.data.classes.question import Question
from featureconvex.data.files.contents import shown
from featureconvex.data.files.folder import FolderReader
from featureconvex.data.files.representation import Representation, representation
from featureconvex.data.schema import Schema, read_schema, said_otherwise
from featureconvex.data.tables.frame import STANDARD_INPUT, is_table
from featureconvex.data.tables.table import Missing, TableReader
from featureconvex.data.task import Loaded
from featureconvex.errors import UserError


@dataclass(frozen=True)
class UserData:
    """Options for data of a user's own; each is for a table or for a folder.

    Attributes:
        label: the label column of a table.
        keep: columns of a table that are no features, kept beside the test rows (an id, say).
        missing: of a table, ``"refuse"`` rows with gaps or ``"drop"`` them.
        schema: a file that says what a table's columns are.
        counts: how the files of a folder are read, such as ``"ngrams:2"``; None goes by their names.
        most_bytes: larger files are left out, and refused by the model; only with ``counts``.
        form: of a table, fields of :class:`~featureconvex.data.schema.TableForm` in place of those of the
            schema.
    """

    label: str | None = None
    keep: tuple[str, ...] = ()
    missing: Missing = "refuse"
    schema: Path | None = None
    counts: str | None = None
    most_bytes: int | None = None
    form: Mapping[str, Any] | None = None

    def check(self, name: str, named: bool) -> None:
        """Refuse options that have no meaning for what ``name`` is, a named task or a path.

        Raises:
            UserError: one has none.
        """
        if self.missing not in ("refuse", "drop"):
            raise UserError(f"--missing is refuse or drop, got {self.missing!r}")
        path = Path(name)
        own = not named and is_table(path) and not path.is_dir()
        odd = self.keep or self.missing != "refuse" or self.schema is not None or self.said
        if odd and not own:
            raise UserError(
                "--keep, --missing, --schema, --sep, --decimal, --encoding and --na are for a table of "
                f"your own, not for {name}"
            )
        if self.counts is not None and (named or not path.expanduser().is_dir()):
            raise UserError(f"--bytes is for a folder of files of your own, not for {name}")
        if self.most_bytes is not None and self.counts is None:
            raise UserError(
                "--most-bytes caps the files that --bytes reads; say how, --bytes histogram"
            )

    @property
    def said(self) -> dict[str, Any]:
        """What was said of how a table is written."""
        return {name: value for name, value in (self.form or {}).items() if value is not None}

    def described(self, sensitive: str | None) -> tuple["UserData", Schema | None, str | None]:
        """With the label and the ids of the schema; the schema, and the sensitive class it names.

        Raises:
            UserError: the schema cannot be read, or contradicts what was said.
        """
        if self.schema is None:
            return self, None, sensitive
        schema = read_schema(self.schema).with_label(self.label, sensitive)
        keep = tuple(dict.fromkeys((*self.keep, *schema.ids)))
        return replace(self, label=schema.label, keep=keep), schema, schema.sensitive

    def reader(
        self, path: Path, question: Question[Loaded], schema: Schema | None
    ) -> FolderReader[Loaded] | TableReader[Loaded] | None:
        """What reads ``path``; None where nothing is there.

        Raises:
            UserError: an option without meaning, or a file of another kind.
        """
        if path.is_dir():
            if self.label is not None:
                raise UserError(
                    f"--label names a column; the folder {path} has its classes as sub-folders"
                )
            return FolderReader(path, question, self._counted)
        if not path.is_file() and path != STANDARD_INPUT:
            return None
        if not is_table(path):
            raise UserError(f"{path} is not a .csv or .parquet file; convert it, or give a folder")
        form = said_otherwise(None if schema is None else schema.form, **self.said)
        if schema is not None and form is not None:
            schema = replace(schema, form=form)
        return TableReader(path, self.label, question, self.keep, self.missing, schema, form)

    @property
    def _counted(self) -> Representation | None:
        return None if self.counts is None else representation(self.counts, self.most_bytes)


def words_of(reader: FolderReader[Loaded] | TableReader[Loaded]) -> dict[str, str]:
    """Name, description and size of a user's own task."""
    path = reader.path
    if isinstance(reader, FolderReader):
        return {
            "name": shown(path.resolve().name),
            "description": f"the folder {shown(path)}",
            "size": "one file per example",
        }
    name = "standard-input" if path == STANDARD_INPUT else path.name.split(".")[0]
    return {"name": name, "description": f"the table {path}", "size": "one row per example"}
