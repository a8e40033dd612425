"""Fetching a file from its public home: checksummed, atomic, with a progress bar."""

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from featureconvex.data.location import VARIABLE
from featureconvex.errors import UserError
from featureconvex.progress import is_hushed, remark

CHUNK = 1 << 16
"""Bytes per step of the progress bar."""


@dataclass(frozen=True)
class RemoteFile:
    """A published file.

    Attributes:
        urls: its addresses, tried in order.
        md5: the checksum published for it.
    """

    urls: tuple[str, ...]
    md5: str


def fetch(remote: RemoteFile, target: Path) -> Path:
    """Download ``remote`` to ``target`` and return ``target``.

    The bytes go to a temporary file beside the target, which takes its name only after the checksum
    agrees: a file at ``target`` is always whole.

    Raises:
        UserError: the folder cannot be written, or no address delivers a file with the published
            checksum; the message names the file, its address and where to put it by hand.
    """
    import pooch
    import requests

    _make_folder(target.parent)
    pooch.get_logger().setLevel("WARNING")
    reasons = []
    for url in remote.urls:
        try:
            with _ProgressBar(target.name) as bar:
                pooch.retrieve(
                    url,
                    known_hash=f"md5:{remote.md5}",
                    fname=target.name,
                    path=target.parent,
                    downloader=pooch.HTTPDownloader(progressbar=bar, chunk_size=CHUNK),
                )
        except requests.RequestException as error:
            reasons.append(f"{url}: {_reason(error)}")
        except ValueError:
            reasons.append(f"{url}: what arrived does not have the published checksum")
        except OSError as error:
            raise UserError(f"cannot write {target}: {error.strerror or error}") from error
        else:
            return target
    raise UserError(
        f"could not download {target.name} ({'; '.join(reasons)}); put the file at {target} "
        f"yourself, or point --data-dir or {VARIABLE} at a folder that has the data"
    )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot create the folder {folder} for the download ({error.strerror or error}); "
            f"point --data-dir or {VARIABLE} at a folder you can write to"
        ) from error


def _reason(error: Exception) -> str:
    """A few words instead of a nested transport error."""
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answered {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return "the server did not answer in time"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return type(error).__name__


class _ProgressBar:
    """The four calls pooch makes on a progress bar, shown on standard error by rich."""

    def __init__(self, title: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

        columns = (
            "{task.description}",
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
        )
        console = Console(stderr=True)
        if not console.is_terminal:
            remark(f"download {title}")
        self._progress = Progress(*columns, console=console, transient=True, disable=is_hushed())
        self._task = self._progress.add_task(title, total=None)
        self.total = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def update(self, count: int) -> None:
        self._progress.update(self._task, total=self.total or None, advance=count)

    def reset(self) -> None:
        self._progress.update(self._task, completed=0)

    def close(self) -> None:
        """Nothing to do: leaving the context stops the display."""
