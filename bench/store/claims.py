"""Claims: who runs which cell, so that drivers that share a store never train a cell twice.

    STORE/claims/<hash>.<number>.json

A claim is made by creating a file that is not there, in which one of several writers succeeds
(`bench.store.files.Files.create`). Its holder renews the heartbeat in it and removes it at the end.
A claim is stale once its heartbeat is older than `STALE_SECONDS`, or once its process, if that was
on this machine, is gone. It is taken over by creating the file with the next number, in which again
one succeeds; a holder that lives after all (its machine was asleep) sees the higher number and
stops.

Heartbeats are read with the reader's clock, so clocks of machines should agree to a minute or two.
"""

from __future__ import annotations

import contextlib
import os
import platform
import threading
import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from pydantic import TypeAdapter

from bench.store.files import machine, process_lives

if TYPE_CHECKING:
    from bench.store.store import Store

#: Seconds between two heartbeats, and the age at which a claim may be taken over.
HEARTBEAT_SECONDS, STALE_SECONDS = 30.0, 300.0

#: Seconds after which a claim that cannot be read is looked at again.
_SETTLE_SECONDS = 0.2


@dataclass(frozen=True)
class Claim:
    """A claim to a cell.

    Attributes:
        owner: sweep, or process of `attnbench run`; may take its own claims over at once.
        host, machine, pid: of the process that trains; `machine` also tells containers apart.
        since, heartbeat: UTC, as in results.
    """

    owner: str
    host: str
    machine: str
    pid: int
    since: str
    heartbeat: str

    @classmethod
    def of_this_process(cls, owner: str) -> Claim:
        now = _now().isoformat()
        return cls(owner, platform.node(), machine(), os.getpid(), now, now)

    @classmethod
    def from_json(cls, data: Any) -> Claim:
        """Raises ValueError for other data."""
        claim = TypeAdapter(cls).validate_python(data)
        claim.silent_seconds()
        return claim

    def silent_seconds(self) -> float:
        """Seconds since the last heartbeat."""
        beat = datetime.fromisoformat(self.heartbeat)
        if beat.tzinfo is None:
            raise ValueError("a time without its zone")
        return (_now() - beat).total_seconds()

    def is_stale(self) -> bool:
        """Whether the process that held it is taken for dead."""
        gone = self.machine == machine() and not process_lives(self.pid)
        return gone or self.silent_seconds() > STALE_SECONDS

    def __str__(self) -> str:
        beat = f"heard of {max(0.0, self.silent_seconds()):.0f} s ago"
        return f"{self.owner} on {self.host}, process {self.pid}, {beat}"


class ClaimedError(Exception):
    """Raised where another process runs the cell.

    Attributes:
        holder: its claim.
    """

    def __init__(self, holder: Claim) -> None:
        super().__init__(f"being run by {holder}")
        self.holder = holder


class HeldClaim:
    """The claim of this process to a cell, renewed by a thread for as long as the block lasts.

    Attributes:
        lost: whether another process has taken it over, so that this one is to stop.
    """

    def __init__(self, store: Store, hash: str, number: int, claim: Claim) -> None:
        self.lost = False
        self._store, self._hash, self._number, self._claim = store, hash, number, claim
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join(HEARTBEAT_SECONDS)
        release(self._store, self._hash, self._number)

    def renew(self) -> None:
        """Write a new heartbeat, unless another process has taken the claim over."""
        with contextlib.suppress(Exception):  # a store that is away for a moment
            if max(self._store.claim_numbers(self._hash), default=-1) > self._number:
                self.lost = True
                return
            self._claim = replace(self._claim, heartbeat=_now().isoformat())
            self._store.put_claim(self._hash, self._number, asdict(self._claim))

    def _beat(self) -> None:
        while not self.lost and not self._over.wait(HEARTBEAT_SECONDS):
            self.renew()


def claim(store: Store, hash: str, owner: str) -> HeldClaim:
    """Claim a cell. Who then finds its result in the store should release it at once: whoever ran
    the cell removes the claim after storing.

    Raises:
        ClaimedError: another process runs it.
        OSError: the store cannot be written.
    """
    mine = Claim.of_this_process(owner)
    while True:
        newest = max(store.claim_numbers(hash), default=-1)
        if newest >= 0:
            holder = _read(store, hash, newest)
            if holder is not None and holder.owner != owner and not holder.is_stale():
                raise ClaimedError(holder)
        if store.create_claim(hash, newest + 1, asdict(mine)):
            return HeldClaim(store, hash, newest + 1, mine)


def release(store: Store, hash: str, number: int) -> None:
    """Remove a claim and those that it took over."""
    with contextlib.suppress(Exception):  # a store that is away: the claim becomes stale
        for one in store.claim_numbers(hash):
            if one <= number:
                store.drop_claim(hash, one)


def release_of(store: Store, hash: str, owner: str) -> None:
    """Remove what dead processes of an owner have left of its claims to a cell."""
    with contextlib.suppress(Exception):
        for number in store.claim_numbers(hash):
            found = _read(store, hash, number)
            if found is not None and found.owner == owner:
                store.drop_claim(hash, number)


def _read(store: Store, hash: str, number: int) -> Claim | None:
    """A claim; None where it is gone or unreadable, which also counts as stale."""
    for attempt in range(2):  # some file systems show a file before its content
        try:
            return Claim.from_json(store.claim_record(hash, number))
        except KeyError:
            return None
        except ValueError:
            if not attempt:
                time.sleep(_SETTLE_SECONDS)
    return None


def _now() -> datetime:
    return datetime.now(UTC)
