"""``record.json``: what a run knows that its rows cannot tell."""

from pathlib import Path
from typing import Any

from featureconvex.errors import UserError
from featureconvex.files import replacing
from featureconvex.results.columns import NORMS
from featureconvex.results.strict_json import dump_json, load_json

RECORD_FILE = "record.json"
# What tells the folder of a comparison from that of a run, whose other files have the same names.
COMPARISON_FILE = "comparison.json"
METHODS_FOLDER = "methods"
Record = dict[str, Any]

_TEXT, _NUMBER, _WHOLE = (str,), (int, float), (int,)
_FIELDS: dict[str, tuple[type, ...]] = {
    "task": _TEXT,
    "recipe": _TEXT,
    "norm": (str, int, float),
    "seed": _WHOLE,
    "n_train": _WHOLE,
    "train_accuracy": (*_NUMBER, type(None)),
    "kind": _TEXT,
    "sensitive_name": _TEXT,
    "other_name": _TEXT,
    "image_shape": (list, type(None)),
    "feature_names": (list, type(None)),
    "source": _TEXT,
    "note": _TEXT,
    "temperature": (*_NUMBER, type(None)),
    "epochs": _WHOLE,
    "tau": _NUMBER,
    "calibration": (dict,),
    "history": (list,),
    "seconds": (dict,),
    "model": (dict,),
    "provenance": (dict,),
}
_PARTS: dict[str, tuple[str, ...]] = {
    "calibration": ("rule", "on"),
    "seconds": ("train", "certify_per_sample"),
    "model": ("description", "parameters"),
    "provenance": ("version", "git", "command", "torch", "python", "machine", "started"),
}
HISTORY_FIELDS = (
    "epoch",
    "loss",
    "train_accuracy",
    "validation_accuracy",
    "validation_median_radius",
)
TRADEOFF_FIELDS = ("temperature", "validation_accuracy", "validation_median_radius", "chosen")


def is_comparison(folder: Path) -> bool:
    """Whether a folder holds, or held before a file was lost, a comparison rather than a run."""
    kept = (folder / METHODS_FOLDER).is_dir() and not (folder / RECORD_FILE).exists()
    return kept or (folder / COMPARISON_FILE).is_file()


def validate_record(record: object, where: str = "the record") -> Record:
    """Return the record after checking that every field is there and of its kind; extras are kept.

    Raises:
        UserError: the first fault found, naming the field.
    """
    if not isinstance(record, dict):
        raise UserError(f"{where} must be a JSON object, got {type(record).__name__}")
    for name, kinds in _FIELDS.items():
        _check_field(record, name, kinds, where)
    for name, keys in _PARTS.items():
        _check_keys(record[name], keys, f"{where}: {name!r}")
    for name, keys in (("history", HISTORY_FIELDS), ("tradeoff", TRADEOFF_FIELDS)):
        for entry in record.get(name) or []:
            _check_keys(entry, keys, f"{where}: an entry of {name!r}")
    _check_choices(record, where)
    return record


def norm_of(record: Record) -> str:
    """The norm the model was trained for: ``l1``, ``l2`` or ``linf``, however the record spells it.

    >>> norm_of({"norm": "inf"}), norm_of({"norm": 2.0}), norm_of({"norm": "l1"})
    ('linf', 'l2', 'l1')
    """
    spelled = record["norm"]
    text = spelled.lower().removeprefix("l") if isinstance(spelled, str) else f"{spelled:g}"
    return f"l{text}"


def write_record(record: Record, path: Path) -> None:
    """Write the record as strict JSON, whole or not at all.

    Raises:
        UserError: the record is incomplete; nothing is written.
    """
    validate_record(record)
    with replacing(path) as temporary:
        temporary.write_text(dump_json(record), encoding="utf-8")


def read_record(path: Path) -> Record:
    """Read and check the record at ``path``.

    Raises:
        UserError: it is missing, damaged or incomplete.
    """
    return validate_record(load_json(path), str(path))


def _check_field(record: Record, name: str, kinds: tuple[type, ...], where: str) -> None:
    if name not in record:
        raise UserError(f"{where} lacks the field {name!r}; run the task again with this version")
    value = record[name]
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        wanted = " or ".join("null" if k is type(None) else k.__name__ for k in kinds)
        raise UserError(f"{where}: field {name!r} must be {wanted}, got {value!r}")


def _check_keys(part: object, keys: tuple[str, ...], where: str) -> None:
    missing = [key for key in keys if not isinstance(part, dict) or key not in part]
    if missing:
        raise UserError(f"{where} lacks {', '.join(missing)}")


def _check_choices(record: Record, where: str) -> None:
    calibration = record["calibration"]
    choices = (
        ("kind", record["kind"], ("image", "table")),
        ("norm", norm_of(record), NORMS),
        ("calibration.rule", calibration["rule"], ("balanced", "fpr")),
        ("calibration.on", calibration["on"], ("validation", "test", "training")),
    )
    for name, value, allowed in choices:
        if value not in allowed:
            raise UserError(f"{where}: {name} must be one of {', '.join(allowed)}, got {value!r}")
    if calibration["rule"] == "fpr" and calibration.get("target_fpr") is None:
        raise UserError(f"{where}: calibration rule 'fpr' needs a number in calibration.target_fpr")
    needed = "image_shape" if record["kind"] == "image" else "feature_names"
    if not record[needed]:
        raise UserError(
            f"{where}: {needed!r} must not be empty for data of kind {record['kind']!r}"
        )
