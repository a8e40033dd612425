"""Which files of a folder are examples."""

from collections.abc import Callable
from pathlib import Path

from featureconvex.errors import UserError

LITTER = frozenset({"thumbs.db", "desktop.ini"})
"""Files that a desktop leaves behind; they and hidden files are no examples."""


def visible(folder: Path) -> list[Path]:
    """Files and folders in alphabetical order, without hidden ones and litter."""
    return sorted(
        path
        for path in folder.iterdir()
        if not path.name.startswith(".") and path.name.lower() not in LITTER
    )


def list_classes(folder: Path) -> dict[str, list[Path]]:
    """The files of every sub-folder, both in alphabetical order.

    Raises:
        UserError: a sub-folder is empty, or holds folders of its own.
    """
    classes = {}
    for child in visible(folder):
        if not child.is_dir():
            continue
        files = visible(child)
        nested = next((path for path in files if path.is_dir()), None)
        if nested is not None:
            raise UserError(
                f"{nested} is a folder inside the class {child.name!r}; put the examples directly "
                "into one folder per class (the split into train and test is made for you)"
            )
        if not files:
            raise UserError(f"the class folder {child} is empty; fill it or remove it")
        classes[child.name] = files
    return classes


def _is_example(path: Path) -> bool:
    """A file, or a link to nothing, which nobody can read; no pipe or device, which might never end."""
    return path.is_file() or (path.is_symlink() and not path.exists())


def left_out(folder: Path) -> Path | None:
    """What :func:`example_files` does not look at beside files: the first folder, pipe or device."""
    inside = visible(folder)
    if not any(map(_is_example, inside)):
        return None
    return next((path for path in inside if not _is_example(path)), None)


def example_files(folder: Path, fits: Callable[[Path], bool] = lambda _: True) -> list[Path]:
    """The examples of a folder: its files, or those of its sub-folders where it has none itself.

    Args:
        folder: with the files in it, or with one sub-folder per class.
        fits: which files can be examples; the others are left out.

    Raises:
        UserError: none fits.
    """
    own = [path for path in visible(folder) if _is_example(path)]
    found = [path for path in own if fits(path)]
    if not found:
        inside = [path for files in list_classes(folder).values() for path in files]
        found = [path for path in inside if fits(path)]
        own += inside
    if not found:
        such = f"; it has {len(own)} others, such as {own[0].name}" if own else ""
        raise UserError(f"{folder} holds no files of the kind the model was trained on{such}")
    return found
