"""Taking named files out of a downloaded archive, each of them whole or not at all."""

import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from featureconvex.errors import UserError


def extract(archive: Path, members: Mapping[str, Path]) -> None:
    """Write the named members of a ``.zip`` or ``.tar.gz`` to the given paths.

    Only these members are touched, so no path stored in the archive is ever followed. Each file is
    written beside its target and renamed when complete.

    Raises:
        UserError: the archive is damaged, lacks a member, or the target cannot be written.
    """
    damage = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, KeyError)
    opener = _each_from_zip if archive.suffix == ".zip" else _each_from_tar
    try:
        opener(archive, members)
    except damage as error:
        raise UserError(
            f"the archive {archive} is damaged or incomplete ({error}); delete it and get it again"
        ) from error
    except OSError as error:
        raise UserError(f"cannot unpack {archive}: {error}") from error


def _each_from_zip(archive: Path, members: Mapping[str, Path]) -> None:
    with zipfile.ZipFile(archive) as handle:
        _write_all(members, handle.open)


def _each_from_tar(archive: Path, members: Mapping[str, Path]) -> None:
    with tarfile.open(archive, "r:*") as handle:

        def open_member(name: str) -> IO[bytes]:
            stream = handle.extractfile(name)
            if stream is None:
                raise KeyError(f"{name} is not a regular file")
            return stream

        _write_all(members, open_member)


def _write_all(members: Mapping[str, Path], open_member: Callable[[str], IO[bytes]]) -> None:
    for name, target in members.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        with (
            open_member(name) as stream,
            tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as part,
        ):
            try:
                shutil.copyfileobj(stream, part)
                part.close()
                Path(part.name).replace(target)
            except BaseException:
                part.close()
                Path(part.name).unlink(missing_ok=True)
                raise
        target.chmod(0o644)
