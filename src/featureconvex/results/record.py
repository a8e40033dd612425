"""``record.json``: what a run knows that its rows cannot tell."""

from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict, cast

from featureconvex.certificates import LEVELS
from featureconvex.errors import UserError
from featureconvex.files import write_text
from featureconvex.norms import NORM_NAMES
from featureconvex.provenance import Provenance
from featureconvex.results.columns import CLOSED_FORM
from featureconvex.results.record_checks import check_record
from featureconvex.results.strict_json import Number, dump_json, load_json

RECORD_FILE = "record.json"


class CalibrationRecord(TypedDict):
    """Where the threshold comes from."""

    rule: Literal["balanced", "fpr"]
    on: Literal["validation", "test", "training"]
    target_fpr: NotRequired[float | None]


class Seconds(TypedDict):
    """What was timed: training, and per point the certificates of all norms at each level."""

    train: float
    certify_per_sample: float


class ModelRecord(TypedDict):
    """The architecture in words."""

    description: str
    parameters: int


class Epoch(TypedDict):
    """One entry of the training history."""

    epoch: int
    loss: Number
    train_accuracy: Number
    validation_accuracy: Number
    validation_median_radius: Number


class PilotRecord(TypedDict):
    """What one temperature led to on held-out points."""

    temperature: float
    validation_accuracy: Number
    validation_median_radius: Number
    feature_map: NotRequired[str]
    chosen: bool


class RunRecord(TypedDict):
    """What every run has. Radii of the history are in the norm the model was trained for."""

    task: str
    recipe: str
    norm: str | int | float
    seed: int
    n_train: int
    train_accuracy: float | None
    kind: Literal["image", "table"]
    image_shape: list[int] | None
    feature_names: list[str] | None
    source: str
    note: str
    feature_map: NotRequired[str]
    temperature: float | None
    epochs: int
    history: list[Epoch]
    seconds: Seconds
    model: ModelRecord
    provenance: Provenance
    asked: NotRequired[dict[str, Any]]
    data_warnings: NotRequired[list[str]]
    feature_std: NotRequired[list[float]]
    levels_unavailable: NotRequired[dict[str, str]]
    rows_from: NotRequired[str]
    settings: NotRequired[dict[str, Any]]


class Record(RunRecord):
    """The file of a run with one sensitive class."""

    sensitive_name: str
    other_name: str
    tau: float
    calibration: CalibrationRecord
    tradeoff: NotRequired[list[PilotRecord]]


def validate_record(record: object, where: str = "the record") -> Record:
    """Return the record after checking it against :class:`Record`; extra fields are kept.

    Every required field must be there and of its kind; of nested objects only the keys are checked.

    Raises:
        UserError: the first fault found, naming the field.
    """
    found = cast("Record", check_record(record, Record, where))
    check_values(found, where)
    calibration = found["calibration"]
    if calibration["rule"] == "fpr" and calibration.get("target_fpr") is None:
        raise UserError(f"{where}: calibration rule 'fpr' needs a number in calibration.target_fpr")
    return found


def norm_of(record: RunRecord) -> str:
    """The norm the model was trained for: ``l1``, ``l2`` or ``linf``, however the record spells it.

    >>> norm_of({"norm": "inf"}), norm_of({"norm": 2.0}), norm_of({"norm": "l1"})
    ('linf', 'l2', 'l1')
    """
    spelled = record["norm"]
    text = spelled.lower().removeprefix("l") if isinstance(spelled, str) else f"{spelled:g}"
    return f"l{text}"


def seconds_field(level: str) -> str:
    """The field of ``seconds`` that holds the time per point of a level's certificates.

    >>> seconds_field("closed-form"), seconds_field("tight")
    ('certify_per_sample', 'certify_per_sample_tight')
    """
    return "certify_per_sample" + ("" if level == CLOSED_FORM else f"_{level}")


def seconds_by_level(record: RunRecord) -> dict[str, float]:
    """The time per point of every level that was timed."""
    seconds = cast("dict[str, float]", record["seconds"])
    found = {level: seconds.get(seconds_field(level)) for level in LEVELS}
    return {level: value for level, value in found.items() if value is not None}


def write_record(record: Record, path: Path) -> None:
    """Write the record as strict JSON, whole or not at all.

    Raises:
        UserError: the record is incomplete; nothing is written.
    """
    validate_record(record)
    write_text(path, dump_json(record))


def read_record(path: Path) -> Record:
    """Read and check the record at ``path``.

    Raises:
        UserError: it is missing, damaged or incomplete.
    """
    return validate_record(load_json(path), str(path))


def check_values(record: RunRecord, where: str) -> None:
    """What annotations cannot say.

    Raises:
        UserError: an unknown norm, or data without their shape or names.
    """
    if norm_of(record) not in NORM_NAMES:
        raise UserError(
            f"{where}: norm must be one of {', '.join(NORM_NAMES)}, got {norm_of(record)!r}"
        )
    needed: Literal["image_shape", "feature_names"] = (
        "image_shape" if record["kind"] == "image" else "feature_names"
    )
    if not record[needed]:
        raise UserError(
            f"{where}: {needed!r} must not be empty for data of kind {record['kind']!r}"
        )
