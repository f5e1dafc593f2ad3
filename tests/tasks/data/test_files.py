"""Files and folders of data sets: found by their names, or refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.errors import UsageError
from tasks.data.files import (
    data_folder,
    file_named,
    require_file,
    require_regular,
    required_root,
)

NFC, NFD = "M\u00e4dchen", "Ma\u0308dchen"


def test_a_root_that_is_needed(tmp_path: Path) -> None:
    assert required_root(tmp_path, "x", "y") == tmp_path
    with pytest.raises(UsageError, match="--data-root: data set 'x' needs its files"):
        required_root(None, "x", "y")
    with pytest.raises(UsageError, match="no such folder"):
        required_root(tmp_path / "none", "x", "y")


def test_the_first_folder_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    assert data_folder(tmp_path, "x", ["a", "b"]) == tmp_path / "b"
    with pytest.raises(UsageError, match="data set 'x' is not there; expected a folder a or c"):
        data_folder(tmp_path, "x", ["a", "c"])
    with pytest.raises(UsageError, match="--data-root"):
        data_folder(None, "x", ["a"])


def test_a_file_is_found_by_either_form_of_its_name(tmp_path: Path) -> None:
    (tmp_path / NFD).touch()
    assert file_named(tmp_path, NFC) == tmp_path / NFD
    assert file_named(tmp_path, NFD) == tmp_path / NFD
    assert file_named(tmp_path, "none") == tmp_path / "none"


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for require in (require_file, require_regular):
        with pytest.raises(UsageError, match="pipe: is a named pipe, not a file; put the file"):
            require(tmp_path / "pipe")
        with pytest.raises(UsageError, match="is a folder, not a text file"):
            require(tmp_path, "text file")
    require_regular(tmp_path / "none")
    with pytest.raises(UsageError, match="none: no such file"):
        require_file(tmp_path / "none")
