"""``record.json`` of a run of several classes: what it knows that its rows cannot tell."""

from pathlib import Path
from typing import Literal, cast

from featureconvex.errors import UserError
from featureconvex.files import write_text
from featureconvex.results.record import RunRecord, check_values
from featureconvex.results.record_checks import check_record
from featureconvex.results.strict_json import dump_json, load_json

OWN = "own"


class ClassRecord(RunRecord):
    """The file.

    Attributes:
        multi_class: tells it from a run with a sensitive class.
        classes: the names of the classes, in the order of their scores.
        tau: a threshold for each.
    """

    multi_class: Literal["own"]
    classes: list[str]
    tau: list[float]


def validate_class_record(record: object, where: str = "the record") -> ClassRecord:
    """Return the record after checking it against :class:`ClassRecord`; extra fields are kept.

    Raises:
        UserError: the first fault found, naming the field.
    """
    found = cast("ClassRecord", check_record(record, ClassRecord, where))
    check_values(found, where)
    names = found["classes"]
    if len(names) < 2 or len(set(names)) != len(names) or len(found["tau"]) != len(names):
        raise UserError(
            f"{where}: 'classes' must be two or more different names, with one number each in 'tau'"
        )
    return found


def write_class_record(record: ClassRecord, path: Path) -> None:
    """Write the record as strict JSON, whole or not at all.

    Raises:
        UserError: the record is incomplete; nothing is written.
    """
    validate_class_record(record)
    write_text(path, dump_json(record))


def read_class_record(path: Path) -> ClassRecord:
    """Read and check the record at ``path``.

    Raises:
        UserError: it is missing, damaged or incomplete.
    """
    return validate_class_record(load_json(path), str(path))


def is_of_classes(path: Path) -> bool:
    """Whether the record at ``path`` is that of a run of several classes; False where there is none.

    Raises:
        UserError: it is damaged.
    """
    if not path.exists():
        return False
    record = load_json(path)
    return isinstance(record, dict) and record.get("multi_class") == OWN
