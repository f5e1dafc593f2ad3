"""The processes (ranks) that train one trial together: rendezvous, process group and Lightning's
strategy. Imports no Ray.

Each calls `join_process_group` once, and may then run trial after trial with them.
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

from ablations.cancellation import RankLost
from ablations.trial_interface import TrialHooks, TrialOptions

#: Somebody may have to prepare a large data set first. Ranks that die are noticed without it.
_PATIENCE = timedelta(days=1)

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


def open_rendezvous(host: str, ranks: int) -> dist.TCPStore:
    """The store through which the ranks find each other, held by rank 0; `port` is a free one."""
    return dist.TCPStore(host, 0, ranks, is_master=True, wait_for_workers=False)


def find_rendezvous(host: str, port: int, ranks: int) -> dist.TCPStore:
    """The rendezvous that rank 0 holds, in another rank."""
    return dist.TCPStore(host, port, ranks, is_master=False)


def join_process_group(rendezvous: dist.TCPStore, number: int, options: TrialOptions) -> None:
    """Make the process group, in place of one before: gloo, and NCCL for tensors on GPUs.

    Args:
        number: of the group; each of a rendezvous has its own.
    """
    leave_process_group()
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if options.device.startswith("cuda") else "gloo",
        store=dist.PrefixStore(str(number), rendezvous),
        rank=options.rank,
        world_size=options.ranks,
        timeout=_PATIENCE,
    )


def leave_process_group() -> None:
    """End the process group, if there is one."""
    if dist.is_initialized():
        dist.destroy_process_group()


def ddp_strategy(options: TrialOptions) -> DDPStrategy:
    """Lightning's strategy for a rank whose process group exists.

    Parameters that a step does not use are looked for, since some models use a part at first.
    """
    # Without it Lightning sets the threads of its own accord.
    os.environ.setdefault("OMP_NUM_THREADS", str(options.threads))
    environment = TrialEnvironment(options.rank)
    return DDPStrategy(cluster_environment=environment, find_unused_parameters=True)


class TrialEnvironment(LightningEnvironment):
    """The environment of a process that trains a trial, told to Lightning, which would else take
    it from variables that a scheduler has set for other purposes (SLURM_NTASKS, LOCAL_RANK).

    Every rank is the only one of its machine: Ray gives it its own device.
    """

    def __init__(self, rank: int = 0) -> None:
        super().__init__()
        self._rank = rank
        self.set_global_rank(rank)  # Lightning's own helpers heed it, too

    @property
    def creates_processes_externally(self) -> bool:
        return True

    def local_rank(self) -> int:
        return 0

    def node_rank(self) -> int:
        return self._rank


@contextlib.contextmanager
def with_context(hooks: TrialHooks) -> Iterator[None]:
    """Replace an error of this rank that another one caused by what happened there."""
    try:
        yield
    except RuntimeError as error:  # gloo's and NCCL's are of this class
        failure = hooks.peer_failure()
        if failure is None and any(words in str(error) for words in _CLOSED):
            failure = RankLost(str(error))
        if failure is None:
            raise
        raise failure from error
