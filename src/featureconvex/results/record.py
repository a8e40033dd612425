"""``record.json``: what a run knows that its rows cannot tell."""

from pathlib import Path
from types import NoneType, UnionType
from typing import (
    Any,
    Literal,
    NotRequired,
    TypedDict,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from featureconvex.certificates import LEVELS
from featureconvex.errors import UserError
from featureconvex.files import write_text
from featureconvex.norms import NORM_NAMES
from featureconvex.provenance import Provenance
from featureconvex.results.columns import CLOSED_FORM
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


class Record(TypedDict):
    """The file. Radii of the history are in the norm the model was trained for."""

    task: str
    recipe: str
    norm: str | int | float
    seed: int
    n_train: int
    train_accuracy: float | None
    kind: Literal["image", "table"]
    sensitive_name: str
    other_name: str
    image_shape: list[int] | None
    feature_names: list[str] | None
    source: str
    note: str
    feature_map: NotRequired[str]
    temperature: float | None
    epochs: int
    tau: float
    calibration: CalibrationRecord
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
    tradeoff: NotRequired[list[PilotRecord]]


def validate_record(record: object, where: str = "the record") -> Record:
    """Return the record after checking it against :class:`Record`; extra fields are kept.

    Every required field must be there and of its kind; of nested objects only the keys are checked.

    Raises:
        UserError: the first fault found, naming the field.
    """
    if not isinstance(record, dict):
        raise UserError(f"{where} must be a JSON object, got {type(record).__name__}")
    for name, kind in get_type_hints(Record).items():
        needed = name in Record.__required_keys__
        if needed and name not in record:
            raise UserError(
                f"{where} lacks the field {name!r}; run the task again with this version"
            )
        if needed or record.get(name) is not None:
            _check_type(record[name], kind, name, where)
    found = cast("Record", record)
    _check_values(found, where)
    return found


def norm_of(record: Record) -> str:
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


def seconds_by_level(record: Record) -> dict[str, float]:
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


def _check_type(value: object, kind: Any, name: str, where: str) -> None:
    """Against one annotation of :class:`Record`; of nested objects the keys and choices."""
    options = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    plain = tuple(_plain(option) for option in options)
    allowed = (*plain, int) if float in plain else plain
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in plain):
        wanted = " or ".join("null" if k is NoneType else k.__name__ for k in plain)
        raise UserError(f"{where}: field {name!r} must be {wanted}, got {value!r}")
    for option in options:
        _check_choice(value, option, name, where)
        if is_typeddict(option):
            _check_object(value, option, name, f"{where}: {name!r}", where)
        if isinstance(value, list) and is_typeddict(next(iter(get_args(option)), None)):
            for entry in value:
                what = f"{where}: an entry of {name!r}"
                _check_object(entry, get_args(option)[0], name, what, where)


def _plain(option: Any) -> type:
    """The class that values of an annotation are instances of."""
    if is_typeddict(option):
        return dict
    if get_origin(option) is Literal:
        return str
    found: type = get_origin(option) or option
    return found


def _check_object(value: object, kind: Any, name: str, what: str, where: str) -> None:
    held = value if isinstance(value, dict) else {}
    missing = [key for key in kind.__annotations__ if key in kind.__required_keys__ - held.keys()]
    if missing:
        raise UserError(f"{what} lacks {', '.join(missing)}")
    for key, option in get_type_hints(kind).items():
        if key in held:
            _check_choice(held[key], option, f"{name}.{key}", where)


def _check_choice(value: object, option: Any, name: str, where: str) -> None:
    allowed = get_args(option) if get_origin(option) is Literal else (value,)
    if value not in allowed:
        raise UserError(f"{where}: {name} must be one of {', '.join(allowed)}, got {value!r}")


def _check_values(record: Record, where: str) -> None:
    """What annotations cannot say."""
    if norm_of(record) not in NORM_NAMES:
        raise UserError(
            f"{where}: norm must be one of {', '.join(NORM_NAMES)}, got {norm_of(record)!r}"
        )
    calibration = record["calibration"]
    if calibration["rule"] == "fpr" and calibration.get("target_fpr") is None:
        raise UserError(f"{where}: calibration rule 'fpr' needs a number in calibration.target_fpr")
    needed: Literal["image_shape", "feature_names"] = (
        "image_shape" if record["kind"] == "image" else "feature_names"
    )
    if not record[needed]:
        raise UserError(
            f"{where}: {needed!r} must not be empty for data of kind {record['kind']!r}"
        )
