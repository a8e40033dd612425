"""Where a result came from: version, revision, command, machine, threads, time."""

import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import NotRequired, TypedDict

import torch

# Settings that hold a library's kernels below what the processor can do, and change the order of sums.
LIMITS = ("ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR")


class Provenance(TypedDict):
    """What is stored beside every result; older results lack what is not required."""

    version: str
    git: str | None
    command: str
    torch: str
    numpy: NotRequired[str]
    python: str
    machine: str
    instruction_set: NotRequired[str]
    threads: NotRequired[int]
    started: str


def provenance(started: datetime | None = None) -> Provenance:
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
        # The order of a sum depends on both, so the same seed gives the same bits only with the same.
        "instruction_set": instruction_set(),
        "threads": torch.get_num_threads(),
        "started": (started or datetime.now(UTC)).isoformat(timespec="seconds"),
    }


def command() -> str:
    """The command line of this process; the program and absolute paths by their names alone."""
    words = (Path(word).name if Path(word).is_absolute() else word for word in sys.argv[1:])
    return shlex.join([Path(sys.argv[0]).name, *words])


def instruction_set() -> str:
    """The vector instructions torch computes with, and what holds other libraries below them.

    ``AVX512``, ``AVX2 (ONEDNN_MAX_CPU_ISA=AVX2)``.
    """
    limits = ", ".join(f"{name}={os.environ[name]}" for name in LIMITS if os.environ.get(name))
    found = torch.backends.cpu.get_cpu_capability()
    return f"{found} ({limits})" if limits else found


def machine() -> str:
    """Processor, logical cores and system in one line."""
    return f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown processor"


# What results and pages made from them are committed as: a run that writes its own changes no code.
WRITTEN = ("results", "docs", "README.md")


def git_revision(here: Path = Path(__file__)) -> str | None:
    """The revision of the source tree around a file, None outside one.

    With ``-dirty`` for uncommitted changes, but for those of results and of the pages made from them.
    """
    here = here.resolve()

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(here.parent), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        return done.stdout.strip()

    try:
        # An installed copy may lie inside somebody else's repository.
        git("ls-files", "--error-unmatch", here.name)
        revision = git("describe", "--always", "--abbrev=12", "--exclude=*")
        code = [":(top)", *(f":(top,exclude){name}" for name in WRITTEN)]
        changed = git("status", "--porcelain", "--untracked-files=no", "--", *code)
        return f"{revision}-dirty" if changed else revision
    except (OSError, subprocess.SubprocessError):
        return None
