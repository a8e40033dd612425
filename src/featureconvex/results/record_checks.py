"""Whether plain values are those that a typed dictionary announces."""

from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints, is_typeddict

from featureconvex.errors import UserError


def check_record(record: object, kind: Any, where: str) -> dict[str, Any]:
    """Return ``record`` after checking it against ``kind``, a typed dictionary; extra fields are kept.

    Every required field must be there and of its kind; of nested objects only the keys are checked.

    Raises:
        UserError: the first fault found, naming the field.
    """
    if not isinstance(record, dict):
        raise UserError(f"{where} must be a JSON object, got {type(record).__name__}")
    for name, option in get_type_hints(kind).items():
        needed = name in kind.__required_keys__
        if needed and name not in record:
            raise UserError(
                f"{where} lacks the field {name!r}; run the task again with this version"
            )
        if needed or record.get(name) is not None:
            _check_type(record[name], option, name, where)
    return record


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
