"""What a table's owner knows about its columns: their meaning, and what an attacker can do to them."""

from featureconvex.data.schema.form import TableForm, said_otherwise, sniffed
from featureconvex.data.schema.schema import STD, ColumnSchema, Schema
from featureconvex.data.schema.toml import parse_schema, read_schema, schema_text

__all__ = [
    "STD",
    "ColumnSchema",
    "Schema",
    "TableForm",
    "parse_schema",
    "read_schema",
    "said_otherwise",
    "schema_text",
    "sniffed",
]
