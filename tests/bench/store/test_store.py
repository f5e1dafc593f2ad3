from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_trials import fake_cell, fake_result
from filelock import FileLock

from ablations.trial_interface import failed_result
from bench.errors import UsageError
from bench.store.files import LocalFiles, draft_of
from bench.store.result import Result
from bench.store.store import Problem, Store
from tasks.data.cache import cached

PREDICTIONS = [{"example": "1", "prediction": "ein Hund"}, {"example": "2", "prediction": "Größe"}]
TRACES = [{"example": "1", "weights": [[0.25, 0.75]]}]


def broken(number: int) -> Result:
    return failed_result(fake_cell(number), "diverged", "nan", started="2025-01-01T00:00:00Z")


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A store in a folder, and one behind fsspec."""
    local = request.param == "local"
    return Store.open(tmp_path / "s" if local else f"memory://{tmp_path}/s", create=True)


@pytest.fixture
def folder(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "s", create=True)


def path_of(store: Store, name: str) -> Path:
    return Path(store.address) / "trials" / name


def test_what_is_put_comes_back(store: Store) -> None:
    result = fake_result(fake_cell(3), 0.25)
    assert store.put(result, PREDICTIONS, TRACES)
    assert store.has(result.hash)
    assert store.get(result.hash) == result
    assert store.predictions(result.hash) == PREDICTIONS
    assert store.traces(result.hash) == TRACES
    assert store.hashes() == [result.hash]
    assert list(store.results()) == [result]
    assert store.statuses([result.hash, "0" * 64]) == {result.hash: "done"}


def test_a_store_opens_again_from_its_address(store: Store) -> None:
    result = fake_result(fake_cell(1))
    store.put(result)
    assert Store.open(store.address).get(result.hash) == result


def test_missing_results_are_key_errors(store: Store) -> None:
    store.put(fake_result(fake_cell(1)))
    assert not store.has("0" * 64)
    for read in (store.get, store.predictions, store.traces):
        with pytest.raises(KeyError):
            read("0" * 64)


def test_many_results_are_listed_in_the_order_of_their_hashes(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.fsync", lambda handle: None)  # 1,800 of them take their time
    results = [fake_result(fake_cell(number)) for number in range(300)]  # more than one batch
    for result in results:
        store.put(result)
    assert [found.hash for found in store.results()] == sorted(result.hash for result in results)
    assert set(store.statuses(store.hashes()).values()) == {"done"}


def test_a_failure_never_replaces_a_finished_result(store: Store) -> None:
    done = fake_result(fake_cell(1))
    assert store.put(done, PREDICTIONS)
    assert not store.put(broken(1))
    assert store.get(done.hash) == done
    assert store.predictions(done.hash) == PREDICTIONS


@pytest.mark.parametrize("held", [None, b"{", b"\xff"])
def test_a_failure_is_stored_without_a_look_at_other_results(
    store: Store, monkeypatch: pytest.MonkeyPatch, held: bytes | None
) -> None:
    if held is not None:
        store._files.write(f"trials/{fake_cell(1).hash}.json", [held])

    def list_all(folder: str) -> list[str]:
        raise AssertionError("with thousands of results each failure would list them all")

    monkeypatch.setattr(store._files, "names", list_all)
    assert store.put(broken(1))
    assert store.get(fake_cell(1).hash).status == "failed"


def test_a_finished_result_replaces_a_failure(store: Store) -> None:
    assert store.put(broken(1))
    assert store.statuses([fake_cell(1).hash]) == {fake_cell(1).hash: "failed"}
    done = fake_result(fake_cell(1))
    assert store.put(done, PREDICTIONS)
    assert store.get(done.hash) == done


def test_results_of_an_earlier_attempt_do_not_linger_beside_a_failure(store: Store) -> None:
    cell = fake_cell(1)
    store.put(broken(1), PREDICTIONS)
    store.put(broken(1))
    assert store.predictions(cell.hash) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "JSONDecodeError"),
        ("[]", "valid dictionary"),
        ("{}", "hash: Field required"),
        ('{"schema": 2}', "of schema 2; this version reads schema 1"),
        (
            '{"schema": 1, "cell": {"version": 1}}',
            "cell version 1, when defaults were others",
        ),
        (None, "holds the record of"),
    ],
)
def test_a_bad_record_is_named_and_stops_nothing(
    folder: Store, content: str | None, said: str
) -> None:
    good, bad = fake_result(fake_cell(1)), fake_result(fake_cell(2))
    folder.put(good)
    path = path_of(folder, f"{bad.hash}.json")
    path.write_text(json.dumps(good.to_json()) if content is None else content)

    problems: list[Problem] = []
    assert list(folder.results(problems)) == [good]
    assert len(problems) == 1
    assert problems[0].path == str(path)
    assert said in problems[0].message
    assert "\n" not in str(problems[0])
    assert folder.statuses([bad.hash]) == {bad.hash: "unreadable"}
    with pytest.raises(UsageError, match=bad.hash):
        folder.get(bad.hash)
    with pytest.warns(UserWarning, match=bad.hash):
        assert list(folder.results()) == [good]


@pytest.mark.parametrize(
    "wrong",
    [
        {"seed": "1"}, {"seed": None}, {"seed": 1.5}, {"seed": True}, {"task": 3},
        {"options": None}, {"options": {"dropout": [1]}}, {"score": None}, {"more": 1},
    ],
)  # fmt: skip
def test_a_cell_of_other_types_makes_a_bad_record(folder: Store, wrong: dict[str, object]) -> None:
    record = fake_result(fake_cell(1)).to_json()
    cell = {**record["cell"], **wrong}
    canonical = json.dumps(cell, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    hash = hashlib.sha256(canonical.encode()).hexdigest()
    path_of(folder, f"{hash}.json").write_text(json.dumps({**record, "cell": cell, "hash": hash}))
    problems: list[Problem] = []
    assert list(folder.results(problems)) == []
    assert len(problems) == 1 and next(iter(wrong)) in problems[0].message


def test_an_unknown_field_in_a_record_is_refused(folder: Store) -> None:
    result = fake_result(fake_cell(1))
    folder.put(result)
    path = path_of(folder, f"{result.hash}.json")
    path.write_text(json.dumps({**result.to_json(), "extra": 1}))
    with pytest.raises(UsageError, match="extra"):
        folder.get(result.hash)


def test_the_schema_is_checked_on_writing(folder: Store) -> None:
    result = fake_result(fake_cell(1)).model_copy(update={"metrics": {"bleu": float("nan")}})
    with pytest.raises(ValueError, match="metrics"):
        folder.put(result)
    assert folder.hashes() == []


@pytest.mark.parametrize("content", ["{", "[1]\n", "2\n", "null\n"])
def test_lines_that_are_no_objects_are_refused(folder: Store, content: str) -> None:
    result = fake_result(fake_cell(1))
    folder.put(result, PREDICTIONS, PREDICTIONS)
    for name in ("predictions", "traces"):
        path = path_of(folder, f"{result.hash}.{name}.jsonl")
        path.write_text(content)
        with pytest.raises(UsageError, match="not valid JSON lines") as caught:
            getattr(folder, name)(result.hash)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["predictions", "traces"])
def test_a_file_that_cannot_be_read_is_named(folder: Store, name: str) -> None:
    result = fake_result(fake_cell(1))
    folder.put(result, PREDICTIONS, PREDICTIONS)
    path = path_of(folder, f"{result.hash}.{name}.jsonl")
    path.unlink()
    path.mkdir()
    with pytest.raises(UsageError, match=r"cannot be read \(is a directory\)"):
        getattr(folder, name)(result.hash)


@pytest.mark.parametrize("name", ["predictions", "traces"])
def test_no_record_without_all_that_belongs_to_it(folder: Store, name: str) -> None:
    result = fake_result(fake_cell(1))
    with pytest.raises(ValueError, match="Out of range"):
        folder.put(result, **{name: [{"ok": 1}, {"bad": float("inf")}]})
    assert folder.hashes() == []
    assert [path.name for path in path_of(folder, "").iterdir() if "tmp" in path.name] == []


def test_a_failed_write_leaves_the_old_content(tmp_path: Path) -> None:
    files = LocalFiles(tmp_path)
    files.write("a.json", [b"old"])

    def half() -> object:
        yield b"ne"
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        files.write("a.json", half())  # type: ignore[arg-type]
    assert files.read("a.json") == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_readers_never_see_a_part_of_a_record(folder: Store) -> None:
    results = [fake_result(fake_cell(1), float(value)) for value in range(40)]
    folder.put(results[0])
    faults: list[Exception] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            try:
                folder.get(results[0].hash)
            except Exception as error:
                faults.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for result in results:
        folder.put(result, PREDICTIONS)
    done.set()
    for reader in readers:
        reader.join()
    assert faults == []
    assert folder.get(results[0].hash) == results[-1]


def test_what_a_killed_writer_leaves_is_not_a_result(folder: Store) -> None:
    result = fake_result(fake_cell(1))
    path_of(folder, f".{result.hash}.json.12345678.tmp").write_text("{")
    path_of(folder, f"{result.hash}.predictions.jsonl").write_text("{}\n")
    assert folder.hashes() == []
    assert not folder.has(result.hash)
    assert list(folder.results()) == []


def test_what_killed_writers_left_is_removed_and_what_is_being_written_is_not(
    folder: Store,
) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from bench.store.files import draft_of\n"
        "draft_of(Path(sys.argv[1])).touch(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    for name in ("trials/one.json", "trials/probe", "checkpoints/one.pt", "sweeps/one.json"):
        path = Path(folder.address) / name
        path.parent.mkdir(exist_ok=True)
        subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    ours = draft_of(path_of(folder, "two.json"))
    elsewhere = path_of(folder, f".three.json.00000000-{os.getpid()}-00000000.tmp")
    aged = path_of(folder, f".four.json.00000000-{os.getpid()}-00000000.tmp")
    for draft in (ours, elsewhere, aged):
        draft.touch()
    os.utime(aged, (0, 0))
    Store.open(folder.address, create=True)
    left = {path.name for path in Path(folder.address).rglob(".*")}
    assert left == {ours.name, elsewhere.name}


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir])
def test_what_is_no_store_is_not_opened(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "x"
    make(path)
    with pytest.raises(UsageError, match="no store there"):
        Store.open(path)
    with pytest.raises(UsageError, match="no store there"):
        Store.open(tmp_path / "nowhere")


def test_a_store_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for address in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UsageError, match="cannot be written") as caught:
            Store.open(address, create=True)
        assert str(address) in str(caught.value)
        assert "--store" in str(caught.value)


def test_a_probe_leaves_nothing_behind(folder: Store) -> None:
    folder.check_writable()
    assert list(path_of(folder, "").iterdir()) == []


@pytest.mark.parametrize("address", ["nosuch://bucket/x", "s4://x"])
def test_unknown_kinds_of_address_are_refused(address: str) -> None:
    with pytest.raises(UsageError, match="Protocol not known"):
        Store.open(address, create=True)


def test_addresses_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert Store.open("runs/a", create=True).address == str(tmp_path / "runs" / "a")
    assert Store.open("~/b", create=True).address == str(tmp_path / "home" / "b")
    assert Store.open(f"file://{tmp_path}/c", create=True).address == str(tmp_path / "c")


def test_scratch_of_a_local_store_lies_in_it(folder: Store) -> None:
    root = Path(folder.address)
    assert (folder.cache, folder.wandb, folder.ray) == (
        root / "cache",
        root / "wandb",
        root / "ray",
    )


def test_scratch_of_a_remote_store_lies_in_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    one, other = Store.open("memory://one", create=True), Store.open("memory://other", create=True)
    assert one.cache.is_relative_to(tmp_path / "attnbench")
    assert one.cache != other.cache
    assert Store.open("memory://one/", create=True).cache == one.cache


@pytest.mark.parametrize("kind", [".json", ".predictions.jsonl", ".traces.jsonl"])
def test_a_named_pipe_is_not_waited_for(folder: Store, kind: str) -> None:
    good, bad = fake_cell(1).hash, fake_cell(2).hash
    for number in (1, 2):
        folder.put(fake_result(fake_cell(number)), [{"example": "0"}], [{"example": "0"}])
    path = path_of(folder, f"{bad}{kind}")
    path.unlink()
    os.mkfifo(path)
    problems: list[Problem] = []
    found = {result.hash for result in folder.results(problems)}
    if kind == ".json":
        assert found == {good}
        assert [str(one) for one in problems] == [f"{path}: a named pipe"]
    else:
        read = folder.predictions if "predictions" in kind else folder.traces
        with pytest.raises(UsageError, match=r"cannot be read \(a named pipe\)"):
            read(bad)


@pytest.mark.parametrize("mask", [0o002, 0o022, 0o077])
def test_files_are_for_whom_the_umask_says(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        store = Store.open(tmp_path / "store", create=True)
        store.put(fake_result(fake_cell(1)), [{"example": "0"}], [])
        store.put_checkpoint(fake_cell(1).hash, b"x")
        store.put_sweep("x", {})
        cached(store.cache, "abc", lambda path: path.write_text("x"))
        with FileLock(store.cache / ".abc.lock"):
            modes = {path: path.stat().st_mode & 0o777 for path in (tmp_path / "store").rglob("*")}
    finally:
        os.umask(before)
    assert len(modes) >= 9
    for path, mode in modes.items():
        assert mode == (0o777 if path.is_dir() else 0o666) & ~mask, path
