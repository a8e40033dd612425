"""Training state on disk, so that a killed run continues as if nothing had happened."""

from pathlib import Path
from typing import IO, Any, cast

import torch

from featureconvex.errors import UserError
from featureconvex.files import replacing


class Checkpoint:
    """One file that holds the state after the last finished epoch.

    Args:
        path: the file; None keeps nothing.
        fingerprint: everything that decides the result (recipe, seed, data). A file with another
            fingerprint belongs to another run and is refused.
    """

    def __init__(self, path: Path | None, fingerprint: dict[str, Any]) -> None:
        self.path = path
        self.fingerprint = fingerprint

    def save(self, state: dict[str, Any]) -> None:
        """Replace the file in one step: a kill leaves the old state or the new one.

        Raises:
            UserError: the disk is full or refuses; the old state is still there, nothing else is.
        """
        if self.path is None:
            return
        content = {"fingerprint": self.fingerprint, "state": state}
        try:
            with replacing(self.path) as scratch, scratch.open("wb") as raw:
                file = _Remembering(raw)
                try:
                    torch.save(content, cast("IO[bytes]", file))
                except RuntimeError as error:
                    # torch says only that its writer failed; the file knows why.
                    raise (file.fault or error) from error
        except OSError as error:
            raise UserError(
                f"cannot write the checkpoint {self.path}: {error.strerror or error}; free some space or "
                "raise the limit, and give the same command again (it continues from the last whole "
                "checkpoint), or choose another --out"
            ) from error

    def load(self) -> dict[str, Any] | None:
        """The saved state, or None where there is none.

        Raises:
            UserError: the file is damaged or of another run.
        """
        if self.path is None or not self.path.exists():
            return None
        try:
            content = torch.load(self.path, weights_only=True)
            fingerprint, state = content["fingerprint"], content["state"]
        except Exception as error:
            raise UserError(
                f"{self.path} is not a readable checkpoint; delete it to start anew"
            ) from error
        if fingerprint != self.fingerprint:
            different = sorted(
                key
                for key in {*fingerprint, *self.fingerprint}
                if fingerprint.get(key) != self.fingerprint.get(key)
            )
            raise UserError(
                f"{self.path} is a checkpoint of another run ({', '.join(different)} differ); "
                "delete it or choose another output folder"
            )
        return dict(state)


class _Remembering:
    """A binary file that remembers the first fault of the disk while torch writes into it."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.fault: OSError | None = None

    def write(self, data: Any) -> int:
        """Write, or remember why not."""
        try:
            return self.file.write(data)
        except OSError as error:
            self.fault = self.fault or error
            raise

    def flush(self) -> None:
        """Hand everything to the disk, or remember why not."""
        try:
            self.file.flush()
        except OSError as error:
            self.fault = self.fault or error
            raise
