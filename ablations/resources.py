"""The cores, GPUs and processes that each trial of a sweep gets, and the cluster they are of."""

from __future__ import annotations

from dataclasses import dataclass

from bench.errors import UsageError


@dataclass(frozen=True)
class Resources:
    """What a sweep runs on.

    Attributes:
        address: None for a cluster of this machine alone, "auto" or host:port to join one.
        cpus_per_trial: cores a trial holds (each of its ranks, if it has several); its threads.
            Never more trials than cores.
        gpus_per_trial: GPUs a trial holds; fractions share one.
        ranks: processes that train a trial together; 0 is one for every GPU.
        retries: how often a trial whose process or machine died is run again (it goes on from its
            checkpoint) before that is its result.
        stack_seeds: whether cells that differ in their seeds alone are one trial, and trained as
            one batched model.
    """

    address: str | None = None
    cpus_per_trial: float = 1
    gpus_per_trial: float = 0
    ranks: int = 0
    retries: int = 3
    stack_seeds: bool = False

    def __post_init__(self) -> None:
        if self.cpus_per_trial <= 0:
            raise UsageError(
                f"a trial needs CPUs, not {self.cpus_per_trial:g}", where="--cpus-per-trial"
            )
        if self.gpus_per_trial < 0:
            raise UsageError(
                f"{self.gpus_per_trial:g} GPUs are less than none", where="--gpus-per-trial"
            )
        if self.retries < 0:
            raise UsageError(f"{self.retries} is less than none", where="--retries")
        if self.ranks < 0:
            raise UsageError(f"{self.ranks} processes train nothing", where="--ranks")
        if not self.ranks:
            object.__setattr__(self, "ranks", max(1, int(self.gpus_per_trial)))
        if self.gpus_per_trial not in (0, self.ranks) and max(self.gpus_per_trial, self.ranks) > 1:
            raise UsageError(
                f"{self.ranks} processes cannot share {self.gpus_per_trial:g} GPUs",
                where="--ranks, --gpus-per-trial",
                remedy="a trial has a share of a GPU, or one for each process",
            )
        if self.stack_seeds and self.ranks > 1:
            raise UsageError(
                f"models that {self.ranks} processes train are not stacked",
                where="--stack-seeds, --ranks, --gpus-per-trial",
                remedy="at most one GPU a trial",
            )

    @property
    def gpus_per_rank(self) -> float:
        return self.gpus_per_trial / self.ranks

    @property
    def threads(self) -> int:
        return max(1, int(self.cpus_per_trial))
