from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import bench
from bench.store.result import (
    SplitIdentity,
    commit,
    device_name,
    library_versions,
    provenance,
    split_differences,
    utc_now,
)

ROOT = Path(bench.__file__).parent.parent
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def test_what_a_record_says_of_its_origin() -> None:
    began = utc_now()
    found = provenance(
        started=began,
        threads=2,
        study="overview",
        data_fingerprint="abc",
        signatures={"bleu": "nrefs:1"},
        notes=["one"],
    )
    assert found.package_version == bench.__version__
    assert found.libraries["torch"].startswith("2.")
    assert found.libraries["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found.device.endswith("(2 threads)")
    assert (found.study, found.data_fingerprint, found.notes) == ("overview", "abc", ("one",))
    assert found.signatures == {"bleu": "nrefs:1"}
    assert ISO.fullmatch(found.started)
    assert ISO.fullmatch(found.finished)
    assert found.started <= found.finished


def test_versions_are_told_without_importing_anything() -> None:
    code = (
        "import sys; from bench.store.result import library_versions; "
        "assert 'torch' in library_versions(); "
        "print([name for name in ('torch', 'ray', 'wandb') if name in sys.modules])"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == "[]"
    assert "ray" in library_versions()


@pytest.fixture
def fresh_commit() -> object:
    commit.cache_clear()
    yield commit
    commit.cache_clear()


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_the_commit_is_that_of_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_commit: object
) -> None:
    package = tmp_path / "bench"
    package.mkdir()
    (package / "__init__.py").write_text("")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "x")
    git(tmp_path, "tag", "v1")
    monkeypatch.setattr(bench, "__file__", str(package / "__init__.py"))
    head = git(tmp_path, "rev-parse", "HEAD")
    assert commit() == head

    (package / "__init__.py").write_text("changed")
    assert commit() == head, "asked once a process"
    commit.cache_clear()
    assert commit() == f"{head}-dirty"


def test_an_installed_package_has_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_commit: object
) -> None:
    # site-packages inside somebody's repository: its commit is not ours.
    git(tmp_path, "init", "-q")
    package = tmp_path / "site-packages" / "bench"
    package.mkdir(parents=True)
    monkeypatch.setattr(bench, "__file__", str(package / "__init__.py"))
    assert commit() is None


def test_no_git_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_commit: object
) -> None:
    (tmp_path / ".git").mkdir()
    monkeypatch.setattr(bench, "__file__", str(tmp_path / "bench" / "__init__.py"))
    monkeypatch.setenv("PATH", "")
    assert commit() is None


def test_device_names() -> None:
    assert device_name("cpu").endswith(" (1 thread)")
    assert not device_name("cpu").startswith(" ")


def test_what_differs_between_two_versions_of_a_data_set() -> None:
    test = SplitIdentity(examples=1200, fingerprint="a", contents="b")
    moved = test.model_copy(update={"fingerprint": "c"})
    others = moved.model_copy(update={"contents": "d"})
    fewer = others.model_copy(update={"examples": 3})

    def told(one: SplitIdentity) -> list[str]:
        return split_differences({"test": test}, {"test": one})

    assert told(test) == []
    assert told(moved) == ["test examples in another order or with other names"]
    assert told(others) == ["other test examples"]
    assert told(fewer) == ["3 test examples, not 1,200"]
    assert split_differences({"test": test}, {"long": test}) == ["no set 'test'", "a set 'long'"]
