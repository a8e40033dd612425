import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from featureconvex.data.named_tasks.download import RemoteFile, fetch
from featureconvex.errors import UserError

CONTENT = bytes(range(256)) * 1000


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/absent":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[: 1000 if self.path == "/short" else None])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def remote(*urls: str, content: bytes = CONTENT) -> RemoteFile:
    return RemoteFile(urls, hashlib.md5(content).hexdigest())


def test_a_good_file_arrives_whole(home: str, tmp_path: Path) -> None:
    target = tmp_path / "new" / "file.bin"
    assert fetch(remote(f"{home}/file"), target) == target
    assert target.read_bytes() == CONTENT


def test_the_next_address_is_tried(home: str, tmp_path: Path) -> None:
    target = fetch(remote(f"{home}/absent", f"{home}/file"), tmp_path / "file")
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("page", "content", "reason"),
    [
        ("absent", CONTENT, "the server answered 404"),
        ("file", b"other", "does not have the published checksum"),
        ("short", CONTENT, "no connection|checksum|ChunkedEncodingError"),
    ],
)
def test_a_failure_leaves_nothing_behind_and_names_the_remedy(
    home: str, tmp_path: Path, page: str, content: bytes, reason: str
) -> None:
    target = tmp_path / "file"
    with pytest.raises(UserError, match=reason) as failure:
        fetch(remote(f"{home}/{page}", content=content), target)
    assert f"put the file at {target}" in str(failure.value)
    assert "\n" not in str(failure.value)
    assert list(tmp_path.iterdir()) == []


def test_no_connection(home: str, tmp_path: Path) -> None:
    closed = home.rsplit(":", 1)[0] + ":9"
    with pytest.raises(UserError, match="no connection"):
        fetch(remote(f"{closed}/file"), tmp_path / "file")


def test_a_folder_that_cannot_be_made(home: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot create the folder"):
        fetch(remote(f"{home}/file"), tmp_path / "file" / "below")
