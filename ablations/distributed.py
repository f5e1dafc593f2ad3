"""The processes that train one trial together, to torch and to Lightning. Imports no Ray.

Each calls `meet` once, and may then run trial after trial with `TrialContext.ranks` of them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from datetime import timedelta

import psutil
import torch.distributed as dist
from lightning_fabric.plugins.environments import LightningEnvironment
from pytorch_lightning.strategies import DDPStrategy

from ablations.context import TrialContext

# What can happen to the other ranks of a trial.


class RankLost(Exception):
    """The process of another rank has died; what this one does comes to nothing."""


class RankFailed(Exception):
    """Another rank has failed where this one did not.

    Attributes:
        kind, message: of its failure.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


#: Somebody may have to prepare a large data set first. Ranks that die are noticed without it.
_PATIENCE = timedelta(days=1)

#: Seconds that rank 0 waits for the others' account of what went wrong.
EXPLANATION_SECONDS = 30.0

#: What gloo says where the process at the other end is gone.
_CLOSED = ("Connection closed by peer", "Connection reset by peer", "Broken pipe")


def choose_interface(address: str) -> None:
    """Let gloo talk through the network that this address of this machine belongs to.

    It would else take the address of the machine's own name, which many systems (Debian's
    /etc/hosts) make a loopback one, where ranks on other machines never find it. What the user has
    set stays.
    """
    for name, addresses in psutil.net_if_addrs().items():
        if any(one.address == address for one in addresses):
            os.environ.setdefault("GLOO_SOCKET_IFNAME", name)


def open_meeting(host: str, ranks: int) -> dist.TCPStore:
    """Where the ranks meet, held by rank 0; its `port` is free until then."""
    return dist.TCPStore(host, 0, ranks, is_master=True, wait_for_workers=False)


def find_meeting(host: str, port: int, ranks: int) -> dist.TCPStore:
    """The meeting that rank 0 holds."""
    return dist.TCPStore(host, port, ranks, is_master=False)


def meet(meeting: dist.TCPStore, number: int, rank: int, ranks: int, device: str) -> None:
    """Make the process group, in place of one before: gloo, and NCCL for tensors on GPUs.

    Args:
        number: of the group; each of a meeting has its own.
    """
    leave()
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo",
        store=dist.PrefixStore(str(number), meeting),
        rank=rank,
        world_size=ranks,
        timeout=_PATIENCE,
    )


def leave() -> None:
    """End the process group, if there is one."""
    if dist.is_initialized():
        dist.destroy_process_group()


def strategy(context: TrialContext) -> DDPStrategy:
    """Lightning's strategy for a rank whose process group exists.

    Parameters that a step does not use are looked for, since some models use a part at first.
    """
    # Without it Lightning sets the threads of its own accord.
    os.environ.setdefault("OMP_NUM_THREADS", str(context.threads))
    return DDPStrategy(cluster_environment=_Environment(context), find_unused_parameters=True)


class _Environment(LightningEnvironment):
    """Every rank is the only one of its machine, to Lightning: Ray gives it its own device."""

    def __init__(self, context: TrialContext) -> None:
        super().__init__()
        self._rank = context.rank

    @property
    def creates_processes_externally(self) -> bool:
        return True

    def local_rank(self) -> int:
        return 0

    def node_rank(self) -> int:
        return self._rank


@contextlib.contextmanager
def explained(context: TrialContext) -> Iterator[None]:
    """Where training fails because another rank did, raise what happened there instead."""
    try:
        yield
    except RuntimeError as error:  # gloo's and NCCL's are of this class
        trouble = context.trouble() if context.trouble is not None else None
        if trouble is None and any(words in str(error) for words in _CLOSED):
            trouble = RankLost(str(error))
        if trouble is None:
            raise
        raise trouble from error
