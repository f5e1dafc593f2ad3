"""The store: one JSON file per finished trial, with predictions and attention traces beside it.

    STORE/trials/<hash>.json                the result record, written last and atomically
    STORE/trials/<hash>.predictions.jsonl   one example a line
    STORE/trials/<hash>.traces.jsonl        one `bench.store.result.Trace` a line
    STORE/sweeps/<name>.json                where a sweep stands
    STORE/searches/<hash>.json              which candidates a cell has (in STORE/search)
    STORE/checkpoints/<hash>.pt             of a trial that was interrupted; gone once it ends
    STORE/models/<kind>-<hash>.safetensors  a trained model, where it is kept (`models.py`)
    STORE/claims/<hash>.<number>.json       who runs a cell now (`bench.store.claims`)
    STORE/cache  STORE/wandb  STORE/ray     scratch of the machine that runs trials
    STORE/mlflow  STORE/tensorboard  STORE/csv  of the trackers that are asked for

A trial exists once its record does; files without a record are leftovers of a killed worker and
are written again. `done` is final, a `failed` trial is run again by the next sweep and never
takes the place of a finished one. The scratch folders of a remote store lie in the user's cache
folder (`bench.store.files.user_cache`, then `attnbench/<digest of the address>`).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bench.errors import UsageError, reason_of
from bench.store.files import Files, LocalFiles, draft_of, open_files, user_cache

if TYPE_CHECKING:
    from bench.store.models import Models
    from bench.store.result import Result

Status = Literal["done", "failed", "unreadable"]

_RECORD = re.compile(r"([0-9a-f]{64})\.json")
_CLAIM = re.compile(r"([0-9a-f]{64})\.([0-9]{1,9})\.json")


@dataclass(frozen=True)
class Problem:
    """A record that cannot be used: which file, and why in one line."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class Store:
    """Results by cell hash, at a local folder or any fsspec URL.

    Make one with `Store.open`. It holds no open files and is cheap to open in every worker.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self.address = files.address

    @classmethod
    def open(cls, address: str | os.PathLike[str], *, create: bool = False) -> Store:
        """Open the store at an address.

        Args:
            create: make the folder, and prove that it can be written. Without it, an address
                that holds no store raises UsageError.
        """
        store = cls(open_files(address))
        if create:
            store.check_writable()
        elif not store._is_store():
            raise UsageError(
                "no store there", where=store.address, remedy="`attnbench sweep --store` makes one"
            )
        return store

    @classmethod
    def at(cls, address: str) -> Store:
        """Open the store at an address that is known to hold one, without the look-up that `open`
        makes (for a remote store a listing of all its results)."""
        return cls(open_files(address))

    # Writing

    def put(
        self,
        result: Result,
        predictions: Iterable[Mapping[str, Any]] = (),
        traces: Iterable[Mapping[str, Any]] = (),
    ) -> bool:
        """File a result with its predictions and traces (JSON data, one example each).

        Returns False, and leaves the store as it is, for a failed result where a finished one is
        held. Raises OSError where the store cannot be written.
        """
        if result.status == "failed" and self._is_done(result.hash):
            return False
        # The record goes last: it says that all is there.
        for kind, rows in (("predictions", predictions), ("traces", traces)):
            self._files.write(_beside(result.hash, kind), map(_line, rows))
        type(result).from_json(result.to_json())  # frozen models can still be built unchecked
        self._files.write(_record(result.hash), [_pretty(result.to_json())])
        return True

    def put_checkpoint(self, hash: str, content: bytes) -> None:
        """Store a trial's checkpoint in place of the one before. Raises OSError."""
        self._files.write(_checkpoint(hash), [content])

    def checkpoint(self, hash: str) -> bytes | None:
        """Return the last checkpoint of that trial, or None."""
        try:
            return self._files.read(_checkpoint(hash))
        except FileNotFoundError:
            return None

    def drop_checkpoint(self, hash: str) -> None:
        """Remove the checkpoint of that trial, if there is one."""
        self._files.remove(_checkpoint(hash))

    def put_sweep(self, name: str, record: Mapping[str, Any]) -> None:
        """Store the status record of a sweep in place of the one before. Raises OSError."""
        self._files.write(f"sweeps/{name}.json", [_pretty(record)])

    def sweeps(self) -> list[dict[str, Any]]:
        """Return the last record of every sweep in this store; unreadable ones are left out."""
        return self._json_records("sweeps")

    def put_search(self, hash: str, record: Mapping[str, Any]) -> None:
        """Store the record of a cell's search in place of the one before. Raises OSError."""
        self._files.write(f"searches/{hash}.json", [_pretty(record)])

    def searches(self) -> list[dict[str, Any]]:
        """Return the record of every search in this store; unreadable ones are left out."""
        return self._json_records("searches")

    def ask_to_stop(self, sweep: str) -> None:
        """Ask the trials of a sweep, wherever they run, to end with a checkpoint."""
        self._files.write(f"sweeps/{sweep}.stop", [b""])

    def is_asked_to_stop(self, sweep: str) -> bool:
        """Whether `ask_to_stop` was called for this sweep; checks a single file."""
        return self._files.exists(f"sweeps/{sweep}.stop")

    def end_sweep(self, sweep: str) -> None:
        """Withdraw the request to stop a sweep."""
        self._files.remove(f"sweeps/{sweep}.stop")

    def create_claim(self, hash: str, number: int, record: Mapping[str, Any]) -> bool:
        """File a claim to that cell, unless there is one of that number. Raises OSError."""
        return self._files.create(_claim(hash, number), _pretty(record))

    def put_claim(self, hash: str, number: int, record: Mapping[str, Any]) -> None:
        """Renew a claim. Raises OSError."""
        self._files.write(_claim(hash, number), [_pretty(record)])

    def claim_numbers(self, hash: str) -> list[int]:
        """Return the numbers of the claims to that cell; the highest counts."""
        found = map(_CLAIM.fullmatch, self._files.names("claims"))
        return [int(match[2]) for match in found if match and match[1] == hash]

    def claim_record(self, hash: str, number: int) -> Any:
        """Return a claim as JSON data. Raises KeyError where there is none, ValueError where it
        is not JSON."""
        try:
            return json.loads(self._files.read(_claim(hash, number)))
        except FileNotFoundError:
            raise KeyError(hash) from None

    def drop_claim(self, hash: str, number: int) -> None:
        """Remove a claim, if it is there."""
        self._files.remove(_claim(hash, number))

    @property
    def is_local(self) -> bool:
        """Whether the store is a local folder, which is read at next to no cost."""
        return isinstance(self._files, LocalFiles)

    def check_writable(self) -> None:
        """Raise UsageError, with the reason, for a store that cannot be written."""
        probe = str(draft_of(Path("trials/probe")))
        try:
            self._files.make()
            self._files.write(probe, [b"written to see whether this store can be written\n"])
            self._files.remove(probe)
        except Exception as error:  # every file system has exceptions of its own
            raise UsageError(
                f"the store cannot be written ({reason_of(error)})",
                where=self.address,
                remedy="choose another folder with --store",
            ) from None

    # Reading

    def has(self, hash: str) -> bool:
        """Whether there is a record of that name, finished or failed."""
        return self._files.exists(_record(hash))

    def get(self, hash: str) -> Result:
        """Read the record of that name.

        Raises KeyError where there is none, and UsageError naming the file where it is not a
        valid record.
        """
        try:
            content = self._files.read(_record(hash))
        except FileNotFoundError:
            raise KeyError(hash) from None
        return self._parse(hash, content)

    def hashes(self) -> list[str]:
        """Return the names of all records, sorted, by one listing of the folder."""
        found = map(_RECORD.fullmatch, self._files.names("trials"))
        return sorted(match[1] for match in found if match)

    def results(self, problems: list[Problem] | None = None) -> Iterator[Result]:
        """Iterate over all readable records in the order of their hashes.

        Args:
            problems: gets one entry per record that cannot be used; without a list each of them
                is a warning. They never stop the others.
        """
        for _, item in self._records(self.hashes()):
            if not isinstance(item, Problem):
                yield item
            elif problems is None:
                warnings.warn(str(item), stacklevel=2)
            else:
                problems.append(item)

    def statuses(self, hashes: Iterable[str]) -> dict[str, Status]:
        """Return the status of each of these cells that has a record."""
        held = set(self.hashes())
        return {
            hash: "unreadable" if isinstance(item, Problem) else item.status
            for hash, item in self._records([hash for hash in hashes if hash in held])
        }

    def predictions(self, hash: str) -> list[dict[str, Any]]:
        """Test examples with predictions (fields of `tasks.base.Prediction`). Raises KeyError."""
        return self._lines(hash, "predictions")

    def traces(self, hash: str) -> list[dict[str, Any]]:
        """Attention of some examples; `Trace.from_json` makes objects of them. Raises KeyError."""
        return self._lines(hash, "traces")

    @property
    def models(self) -> Models:
        """The trained models that are kept."""
        from bench.store.models import Models

        return Models(self._files)

    # Scratch on this machine

    @property
    def scratch(self) -> Path:
        """Local folder for everything that is not a result: the store itself if it is local."""
        if isinstance(self._files, LocalFiles):
            return self._files.root
        digest = hashlib.sha256(self.address.encode()).hexdigest()
        return user_cache() / "attnbench" / digest[:12]

    @property
    def cache(self) -> Path:
        """Local folder of prepared data."""
        return self.scratch / "cache"

    @property
    def wandb(self) -> Path:
        """Local folder of W&B's files."""
        return self.scratch / "wandb"

    @property
    def ray(self) -> Path:
        """Local folder of Ray's and Lightning's files."""
        return self.scratch / "ray"

    # Details

    def _is_store(self) -> bool:
        if isinstance(self._files, LocalFiles):
            return (self._files.root / "trials").is_dir()
        try:
            return bool(self._files.names("trials"))
        except Exception as error:
            raise UsageError(
                f"the store cannot be read ({reason_of(error)})", where=self.address
            ) from None

    def _is_done(self, hash: str) -> bool:
        """Whether a finished result is held. Looks at one file, since a listing grows."""
        try:
            return self.get(hash).status == "done"
        except (KeyError, UsageError):  # none, or an unusable one
            return False

    def _json_records(self, folder: str) -> list[dict[str, Any]]:
        names = [f"{folder}/{name}" for name in self._files.names(folder) if name[-5:] == ".json"]
        found = []
        for content in self._files.read_many(sorted(names)).values():
            if isinstance(content, bytes):
                with contextlib.suppress(ValueError, RecursionError):
                    found.append(json.loads(content))
        return found

    def _records(self, hashes: list[str]) -> Iterator[tuple[str, Result | Problem]]:
        for start in range(0, len(hashes), 256):  # bounded memory, many objects at a time
            names = {_record(hash): hash for hash in hashes[start : start + 256]}
            for name, content in self._files.read_many(list(names)).items():
                yield names[name], self._judged(names[name], content)

    def _judged(self, hash: str, content: bytes | Exception) -> Result | Problem:
        path = f"{self.address}/{_record(hash)}"
        if isinstance(content, Exception):
            return Problem(path, reason_of(content))
        try:
            return self._parse(hash, content)
        except UsageError as error:
            return Problem(path, error.what)

    def _parse(self, hash: str, content: bytes) -> Result:
        from bench.store.result import Result, fault_of_age

        where = f"{self.address}/{_record(hash)}"
        try:
            data = json.loads(content)
            age = fault_of_age(data)
            if age is not None:
                raise UsageError(age, where=where)
            result = Result.from_json(data)
        except UsageError:
            raise
        except (ValueError, TypeError, RecursionError) as error:
            raise UsageError(f"not a valid record ({reason_of(error)})", where=where) from None
        if result.hash != hash:
            raise UsageError(f"holds the record of {result.hash[:12]}", where=where)
        return result

    def _lines(self, hash: str, kind: str) -> list[dict[str, Any]]:
        from pydantic_core import from_json  # twice as fast as json, and reports read all lines

        name = _beside(hash, kind)
        where = f"{self.address}/{name}"
        try:
            content = self._files.read(name)
        except FileNotFoundError:
            raise KeyError(hash) from None
        except OSError as error:
            raise UsageError(f"cannot be read ({reason_of(error)})", where=where) from None
        try:
            rows = [from_json(line) for line in content.splitlines() if line]
        except ValueError as error:
            raise UsageError(f"not valid JSON lines ({reason_of(error)})", where=where) from None
        if not all(isinstance(row, dict) for row in rows):
            raise UsageError("not valid JSON lines (each is to be an object)", where=where)
        return rows


def _record(hash: str) -> str:
    return f"trials/{hash}.json"


def _checkpoint(hash: str) -> str:
    return f"checkpoints/{hash}.pt"


def _claim(hash: str, number: int) -> str:
    return f"claims/{hash}.{number}.json"


def _beside(hash: str, kind: str) -> str:
    return f"trials/{hash}.{kind}.jsonl"


def _line(row: Mapping[str, Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _pretty(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False, allow_nan=False, indent=1).encode() + b"\n"
