"""Where a result came from: version, revision, command, machine, threads, time."""

import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch


def provenance(started: datetime | None = None) -> dict[str, Any]:
    """What to store beside every result.

    Args:
        started: when the work began, in UTC; default now.
    """
    return {
        "version": version("featureconvex"),
        "git": git_revision(),
        "command": command(),
        "torch": version("torch"),
        "numpy": version("numpy"),
        "python": platform.python_version(),
        "machine": machine(),
        # The order of a sum depends on it, so the same seed gives the same result only with as many.
        "threads": torch.get_num_threads(),
        "started": (started or datetime.now(UTC)).isoformat(timespec="seconds"),
    }


def command() -> str:
    """The command line of this process, the program by its name alone."""
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


def machine() -> str:
    """Processor, logical cores and system in one line."""
    import os

    return f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown processor"


def git_revision() -> str | None:
    """The revision of the source tree, with ``-dirty`` for uncommitted changes; None outside one."""
    here = Path(__file__).resolve()

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(here.parent), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        return done.stdout.strip()

    try:
        # An installed copy may lie inside somebody else's repository.
        git("ls-files", "--error-unmatch", here.name)
        return git("describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
    except (OSError, subprocess.SubprocessError):
        return None
