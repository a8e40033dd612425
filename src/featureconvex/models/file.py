"""Model files: safetensors for the numbers, JSON for the structure, no pickle.

A model file is a folder with ``model.json`` and ``weights.safetensors``. Loading runs no code from
the file: it builds known classes from plain values, and refuses what does not fit.
"""

import json
import re
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn.utils import parametrize

from featureconvex.errors import ConvexityError, UserError
from featureconvex.features import Compose, FeatureMap
from featureconvex.files import write_bytes, write_text
from featureconvex.given import file_path
from featureconvex.models.frozen import check_precision
from featureconvex.models.model import FeatureConvexModel
from featureconvex.models.multi_class import MultiClassModel
from featureconvex.nn.card import cards

FORMAT = "featureconvex model"
VERSION = 1
STRUCTURE, WEIGHTS = "model.json", "weights.safetensors"

_SHARED = re.compile(r"classes\.\d+\.feature_map\.")
_DTYPES = {"float32": torch.float32, "float64": torch.float64}


def storable() -> dict[str, type[nn.Module]]:
    """What model files may hold, by the name that stands in them.

    Every feature map, and every network with a card and a method ``config()`` that returns the arguments
    of its constructor. Classes from elsewhere go by their full names: none passes for the library's.
    """
    maps: list[type[nn.Module]] = [FeatureMap]
    for kind in maps:
        maps.extend(kind.__subclasses__())
    networks = [kind for kind in cards() if callable(getattr(kind, "config", None))]
    return {_stored_name(kind): kind for kind in (*maps, *networks)}


def _stored_name(kind: type[nn.Module]) -> str:
    if kind.__module__.startswith(("featureconvex.features.", "featureconvex.nn.")):
        return kind.__name__
    return f"{kind.__module__}.{kind.__qualname__}"


Model = FeatureConvexModel | MultiClassModel
"""What a model file holds."""


def save_model(model: Model, path: str | Path, extra: dict[str, Any] | None = None) -> Path:
    """Write ``model`` into the folder ``path`` and return it.

    Args:
        model: every part must be of a kind that files may hold
            (:func:`~featureconvex.models.file.storable`).
        path: a folder, made if missing; an older model file in it is replaced.
        extra: JSON values that travel along.

    Raises:
        UserError: a part of the model is of an unknown kind or in half precision, or the folder cannot be
            written.
    """
    path = file_path("path", path)
    text, weights = pack(model, extra)
    try:
        path.mkdir(parents=True, exist_ok=True)
        write_bytes(path / WEIGHTS, weights)
        write_text(path / STRUCTURE, text)
    except (FileExistsError, NotADirectoryError) as error:
        raise UserError(
            f"cannot write the model to {path}: a model is a folder, and there is a file of that name; "
            "choose another path"
        ) from error
    except OSError as error:
        raise UserError(
            f"cannot write the model to {path}: {error.strerror or error}; choose another path"
        ) from error
    return path


def pack(model: Model, extra: dict[str, Any] | None = None) -> tuple[str, bytes]:
    """The two files' contents, structure and weights; raises as :func:`save_model`."""
    if not isinstance(model, Model):
        raise UserError(
            f"expected a FeatureConvexModel, got {type(model).__name__}; a classifier has a save of its own"
        )
    members = model.members() if isinstance(model, MultiClassModel) else [model]
    for member in members:
        check_precision(member)
    nets = [_describe(member.convex_net) for member in members]
    structure = {
        "format": FORMAT,
        "version": VERSION,
        "dtype": torch.finfo(model.dtype).dtype,
        "feature_map": _describe(model.feature_map),
        **({"convex_net": nets[0]} if len(nets) == 1 else {"convex_nets": nets}),
        "extra": extra or {},
    }
    weights = save(_apart(_tensors(model)))
    structure["weights_sha256"] = sha256(weights).hexdigest()
    return json.dumps(structure, indent=2, allow_nan=False, default=_plain), weights


def _apart(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """On the CPU and without shared memory, which safetensors refuses: a part that occurs twice, say."""
    seen: set[int] = set()
    apart = {}
    for name, value in tensors.items():
        value = value.detach().cpu().contiguous()
        memory = value.untyped_storage().data_ptr()
        apart[name] = value.clone() if memory in seen else value
        seen.add(memory)
    return apart


def _plain(value: Any) -> Any:
    """A number or array of numpy, which hyper-parameters often are, as JSON knows it."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise UserError(
        f"a model file cannot hold {value!r}, a {type(value).__name__}; use numbers, texts, lists and dicts"
    )


def load_model(path: str | Path) -> tuple[FeatureConvexModel, dict[str, Any]]:
    """Read the file of a model of one sensitive class: as :func:`load_any_model`.

    Raises:
        UserError: as there, or the model has several classes.
    """
    model, extra = load_any_model(path)
    if isinstance(model, MultiClassModel):
        raise UserError(f"{path} is a model of several classes; load it with featureconvex.load")
    return model, extra


def load_any_model(path: str | Path) -> tuple[Model, dict[str, Any]]:
    """Read a model file: the model, in eval mode, and the ``extra`` saved with it.

    Raises:
        UserError: no model there, an unknown module, a missing, extra, misshapen or non-finite
            tensor, a negative weight on a convex path, or weights that were changed since; the
            message names it.
    """
    path = file_path("path", path)
    try:
        text = (path / STRUCTURE).read_text(encoding="utf-8")
        weights = (path / WEIGHTS).read_bytes()
    except FileNotFoundError as error:
        raise UserError(
            f"no model in {path}: {Path(error.filename).name} is missing; name a run's folder, or "
            "what save wrote"
        ) from error
    except NotADirectoryError as error:
        raise UserError(
            f"{path} is a file, and a model is a folder; name a run's folder, or what save wrote"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"the model in {path} cannot be read: {error}") from error
    return unpack(text, weights, path)


def read_extra(path: str | Path) -> dict[str, Any]:
    """The ``extra`` of a model file, without its weights; raises as :func:`load_model`."""
    path = file_path("path", path)
    try:
        text = (path / STRUCTURE).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"no model in {path}: {STRUCTURE} cannot be read") from error
    extra: dict[str, Any] = _parse_structure(text, path)["extra"]
    return extra


def unpack(text: str, weights: bytes, path: Path = Path("model")) -> tuple[Model, dict[str, Any]]:
    """Undo :func:`pack`; raises as :func:`load_model`, naming files below ``path``."""
    structure = _parse_structure(text, path)
    try:
        tensors = load(weights)
    except SafetensorError as error:
        raise UserError(f"{path / WEIGHTS} is damaged: {error}") from error
    with torch.random.fork_rng(
        devices=[]
    ):  # building draws initial weights; leave the caller's RNG alone
        feature_map = _build(structure["feature_map"], path)
        if not isinstance(feature_map, FeatureMap):
            raise UserError(f"{path / STRUCTURE}: feature_map is a {type(feature_map).__name__}")
        nets = structure.get("convex_nets") or [structure["convex_net"]]
        built = [_build(described, path) for described in nets]
        model: Model
        if "convex_nets" in structure:
            model = _joined(feature_map, built, path)
        else:
            model = FeatureConvexModel(feature_map, built[0])
    dtype = _DTYPES[structure["dtype"]]
    for net in built:
        net.to(dtype)
    for part in feature_map.modules():
        # Learned numbers have the network's precision; constants keep theirs.
        if isinstance(part, FeatureMap) and part.learned and not isinstance(part, Compose):
            part.to(dtype)
    _fill(model, tensors, path)
    # Last, so that what is wrong with the weights is named where it can be.
    stated = structure.get("weights_sha256")
    if stated is not None and stated != sha256(weights).hexdigest():
        raise UserError(
            f"{path / WEIGHTS} is not the file that {STRUCTURE} was written with (checksums differ); "
            "restore it, or save the model again"
        )
    return model.eval(), structure["extra"]


def _joined(feature_map: FeatureMap, nets: list[nn.Module], path: Path) -> MultiClassModel:
    try:
        return MultiClassModel(feature_map, nets)
    except UserError as error:
        raise UserError(f"{path / STRUCTURE}: {error}") from error


def _parse_structure(text: str, path: Path) -> dict[str, Any]:
    try:
        structure = json.loads(text)
    except ValueError as error:
        raise UserError(f"{path / STRUCTURE} is damaged: {error}") from error
    if not isinstance(structure, dict) or structure.get("format") != FORMAT:
        raise UserError(f"{path / STRUCTURE} is not a featureconvex model")
    if structure.get("version") != VERSION:
        raise UserError(
            f"{path} has model format {structure.get('version')}, this release reads {VERSION}; "
            "use the release that wrote it"
        )
    named = "convex_nets" if isinstance(structure.get("convex_nets"), list) else "convex_net"
    missing = {"feature_map", named, "dtype", "extra"} - structure.keys()
    if missing or structure["dtype"] not in _DTYPES:
        raise UserError(
            f"{path / STRUCTURE} lacks a usable {', '.join(sorted(missing)) or 'dtype'}"
        )
    _check_extra(structure["extra"], path)
    return structure


def _check_extra(extra: Any, path: Path) -> None:
    """What travels along is looked up by name everywhere; a list of names has one per input."""
    if not isinstance(extra, dict):
        raise UserError(f"{path / STRUCTURE} is damaged: extra is not an object")
    names, shape = extra.get("feature_names"), extra.get("input_shape")
    if names and shape and [len(names)] != list(shape):
        raise UserError(
            f"{path / STRUCTURE} is damaged: {len(names)} feature_names for inputs of shape {shape}"
        )


def _describe(module: nn.Module) -> dict[str, Any]:
    name = _stored_name(type(module))
    if storable().get(name) is not type(module):
        raise UserError(
            f"a model file cannot hold a {name}; it takes networks whose class has a method config() that "
            "returns the arguments of its constructor"
        )
    described: dict[str, Any] = {"kind": name, "config": module.config()}  # type: ignore[operator]
    if isinstance(module, Compose):
        described["parts"] = [_describe(part) for part in module.maps]
    return described


def _kind(name: str, path: Path) -> type[nn.Module]:
    known = storable()
    if name in known:
        return known[name]
    # Files of earlier releases have the bare name of a class from elsewhere.
    alike = [kind for kind in known.values() if kind.__name__ == name]
    if len(alike) == 1:
        return alike[0]
    raise UserError(
        f"{path / STRUCTURE}: unknown module {name!r}; import the file that defines the class first. Known "
        f"are {', '.join(sorted(known))}"
    )


def _build(described: Any, path: Path) -> nn.Module:
    try:
        kind, config = _kind(described["kind"], path), described["config"]
        parts = [_build(part, path) for part in described.get("parts", [])]
        return kind(*parts, **config)
    except UserError as error:
        if str(error).startswith(str(path)):
            raise  # named already, or a part of this one
        raise UserError(f"{path / STRUCTURE}: cannot build {described!r:.200}: {error}") from error
    except (KeyError, TypeError, ValueError, RuntimeError, MemoryError, AttributeError) as error:
        raise UserError(f"{path / STRUCTURE}: cannot build {described!r:.200}: {error}") from error


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and persistent buffers by name; a constrained weight under its own name, as used."""
    found: dict[str, Tensor] = {}
    for name, value in model.state_dict().items():
        if _SHARED.match(name):
            continue  # the map that all classes share is stored once
        head, _, tail = name.rpartition("parametrizations.")
        if not tail.endswith(".original") or (head and not head.endswith(".")):
            found[name] = value
            continue
        attribute = tail.removesuffix(".original")
        found[head + attribute] = getattr(model.get_submodule(head.rstrip(".")), attribute)
    return found


def _fill(model: Model, tensors: dict[str, Tensor], path: Path) -> None:
    expected = _tensors(model)
    for word, names in (
        ("lacks", expected.keys() - tensors.keys()),
        ("has unknown", tensors.keys() - expected.keys()),
    ):
        if names:
            raise UserError(f"{path / WEIGHTS} {word} {', '.join(sorted(names))}")
    for name, value in expected.items():
        given = tensors[name]
        if given.dtype == torch.float32 and value.dtype == torch.float64:
            # A constant of a model that ``.float()`` has rounded: the same number in float64.
            given = tensors[name] = given.double()
        if given.shape != value.shape or given.dtype != value.dtype:
            raise UserError(
                f"{path / WEIGHTS}: {name} is {given.dtype} {tuple(given.shape)}, "
                f"expected {value.dtype} {tuple(value.shape)}"
            )
        if given.is_floating_point() and not torch.isfinite(given).all():
            raise UserError(f"{path / WEIGHTS}: {name} has a NaN or an infinity")
        if name.endswith("running_var") and (given < 0).any():
            raise UserError(f"{path / WEIGHTS}: {name} is a variance and has a negative entry")
    with torch.no_grad():
        for name, given in tensors.items():
            owner, _, attribute = name.rpartition(".")
            module = model.get_submodule(owner)
            try:
                if parametrize.is_parametrized(module, attribute):
                    setattr(module, attribute, given)
                else:
                    getattr(module, attribute).copy_(given)
            except ConvexityError as error:
                raise UserError(f"{path / WEIGHTS}: {name}: {error}") from error
