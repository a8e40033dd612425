from pathlib import Path

import pytest

from featureconvex.data import resolve_data_dir
from featureconvex.errors import UserError


def test_argument_then_environment_then_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEATURECONVEX_DATA", str(tmp_path / "from-environment"))
    assert resolve_data_dir(tmp_path) == tmp_path
    assert resolve_data_dir() == tmp_path / "from-environment"
    monkeypatch.setenv("FEATURECONVEX_DATA", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert resolve_data_dir().name == "featureconvex"


def test_a_file_is_no_data_folder(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(UserError, match="is a file"):
        resolve_data_dir(path)
