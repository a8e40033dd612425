"""``featureconvex inspect``: a first look at a table or folder, in words and as a schema."""

from collections import Counter
from pathlib import Path
from typing import Any

from featureconvex.data.classes.order import in_order
from featureconvex.data.files.listing import list_classes
from featureconvex.data.schema import Schema, TableForm, said_otherwise, schema_text, sniffed
from featureconvex.data.tables.frame import PARQUET_SUFFIXES, csv_bytes, is_table, read_frame
from featureconvex.data.tables.look import Look, look_at
from featureconvex.errors import UserError


def inspect_table(
    path: Path, label: str | None = None, sensitive: str | None = None, **form: Any
) -> tuple[Look, str]:
    """A look at a table, and the schema's text.

    Args:
        path: CSV (also gzipped) or Parquet; how a CSV file is written is found out.
        label: the column to predict.
        sensitive: the class an attacker wants to leave.
        form: what the caller knows of how it is written, as in :class:`TableForm`; None: to find out.

    Raises:
        UserError: no table, or one that cannot be read.
    """
    if not is_table(path) or not path.is_file():
        raise UserError(
            f"there is no table {path}; inspect takes a .csv, .csv.gz or .parquet file, or a folder"
        )
    parquet = path.name.lower().endswith(PARQUET_SUFFIXES)
    written = TableForm() if parquet else said_otherwise(_sniffed(path), **form)
    frame = read_frame(path, () if label is None else (label,), written)
    look = look_at(frame, label, sensitive, written, str(path))
    return look, schema_text(look.schema, path.name, look.remarks)


def _sniffed(path: Path) -> TableForm:
    try:
        return sniffed(csv_bytes(path))
    except (OSError, EOFError) as error:
        raise UserError(f"cannot read {path}: {error}") from error


def inspect_folder(path: Path) -> list[dict[str, Any]]:
    """For each class of a folder: ``name``, how many ``files``, their ``bytes``, and how many of each kind.

    Raises:
        UserError: no sub-folders with files.
    """
    classes = list_classes(path)
    if not classes:
        raise UserError(f"{path} has no sub-folder; a folder has one for each class")
    return [
        {
            "name": name,
            "files": len(classes[name]),
            "bytes": sum(file.stat().st_size for file in classes[name]),
            "kinds": dict(Counter(file.suffix.lower() or "no suffix" for file in classes[name])),
        }
        for name in in_order(classes)
    ]


def class_lines(classes: list[dict[str, Any]]) -> list[str]:
    """One line per class: its name, how many files and of what kinds."""
    lines = []
    for found in classes:
        common = Counter(found["kinds"]).most_common(3)
        shown = ", ".join(f"{kind} ({count})" for kind, count in common)
        lines.append(
            f"{found['name']}: {found['files']} files, {found['bytes'] / 1e6:.3g} MB, {shown}"
        )
    return lines


def look_lines(look: Look) -> list[str]:
    """The look in lines: the label, then every column with the guess of its role."""
    schema: Schema = look.schema
    lines = []
    if schema.label is not None:
        counts = ", ".join(f"{name} ({count})" for name, count in look.classes[:10])
        if len(look.classes) > 10:
            counts += f" and {len(look.classes) - 10} more classes"
        sensitive = f"; sensitive: {schema.sensitive}" if schema.sensitive else ""
        lines.append(f"label {schema.label}: {counts}{sensitive}")
    width = max((len(column.schema.name) for column in look.columns), default=0)
    for column in look.columns:
        said = column.schema
        lines.append(f"{said.name:<{width}}  {said.role:<7}  {said.type:<8}  {column.summary}")
    return lines


def look_values(look: Look) -> dict[str, Any]:
    """The same as plain values."""
    columns = [
        {
            **{"name": column.schema.name, "role": column.schema.role, "type": column.schema.type},
            **{"missing": column.missing, "distinct": column.distinct, "values": column.values},
            **{"std": column.std, "remark": column.remark},
        }
        for column in look.columns
    ]
    return {
        "label": look.schema.label,
        "sensitive": look.schema.sensitive,
        "classes": dict(look.classes),
        "columns": columns,
    }
