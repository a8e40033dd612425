"""Training state on disk, so that a killed run continues as if nothing had happened."""

import os
from pathlib import Path
from typing import Any

import torch

from featureconvex.errors import UserError


class Checkpoint:
    """One file that holds the state behind the last finished epoch.

    Args:
        path: the file; None keeps nothing.
        fingerprint: everything that decides the result (recipe, seed, data). A file with another
            fingerprint belongs to another run and is refused.
    """

    def __init__(self, path: Path | None, fingerprint: dict[str, Any]) -> None:
        self.path = path
        self.fingerprint = fingerprint

    def save(self, state: dict[str, Any]) -> None:
        """Replace the file in one step: a kill leaves the old state or the new one."""
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        scratch = self.path.with_name(f"{self.path.name}.{os.getpid()}.partial")
        torch.save({"fingerprint": self.fingerprint, "state": state}, scratch)
        scratch.replace(self.path)

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
