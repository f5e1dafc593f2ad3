"""Cost of a trial: time, memory, parameters."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import nn

_SAMPLING_SECONDS = 0.02


class Stopwatch:
    """Sum of wall times: `with watch: ...`, any number of times, then `watch.seconds`.

    With `device` "cuda..." it waits at both ends for the kernels under way, which would otherwise
    be charged to the next measurement.
    """

    def __init__(self, device: str = "cpu") -> None:
        self.seconds = 0.0
        self._cuda = device.startswith("cuda")
        self._started: float | None = None

    def __enter__(self) -> Stopwatch:
        self._synchronise()
        self._started = time.perf_counter()
        return self

    def __exit__(self, *error: object) -> None:
        assert self._started is not None, "leave what was entered"
        self._synchronise()
        self.seconds += time.perf_counter() - self._started
        self._started = None

    def _synchronise(self) -> None:
        if self._cuda:
            import torch

            torch.cuda.synchronize()


class PeakMemory:
    """Peak memory of a piece of work: `with PeakMemory() as peak: ...`, then `peak.bytes`.

    On CUDA: of the allocator's tensors. On the CPU: resident memory of the process. Both are
    counted from what was held at the start, so that a warm worker, which has libraries and its
    predecessors' arenas in memory, measures the same as a fresh one.
    """

    def __init__(self, device: str = "cpu") -> None:
        self.bytes = 0
        self._meter: _Meter = _CudaMeter(device) if device.startswith("cuda") else _cpu_meter()
        self._before = 0

    def __enter__(self) -> PeakMemory:
        release_memory()
        self._before = self._meter.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bytes = max(0, self._meter.stop() - self._before)


def release_memory() -> None:
    """Free memory that is no longer used: between trials, and before memory is measured."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # a libc other than glibc
            ctypes.CDLL(None).malloc_trim(0)


@functools.cache
def freeze_garbage_collection() -> None:
    """Exempt everything alive now (modules, caches) from garbage collection, which then takes a
    tenth of the time. Called after the first trial of a process; further calls do nothing."""
    gc.freeze()


class _Meter(Protocol):
    """A meter of memory: `start` returns the bytes held now, `stop` the most held since."""

    def start(self) -> int: ...

    def stop(self) -> int: ...


class _KernelMeter:
    """Meter of resident memory by the high-water mark that Linux keeps and lets be reset."""

    def start(self) -> int:
        Path("/proc/self/clear_refs").write_text("5")
        return self.stop()

    def stop(self) -> int:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise OSError("no VmHWM in /proc/self/status")


class _SamplingMeter:
    """Meter that samples resident memory fifty times a second; short peaks are missed."""

    def __init__(self) -> None:
        import psutil

        self._process = psutil.Process()
        self._done = threading.Event()

    def start(self) -> int:
        self._peak = self._held()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self._peak

    def stop(self) -> int:
        self._done.set()
        self._thread.join()
        return max(self._peak, self._held())

    def _held(self) -> int:
        return int(self._process.memory_info().rss)

    def _watch(self) -> None:
        while not self._done.wait(_SAMPLING_SECONDS):
            self._peak = max(self._peak, self._held())


class _CudaMeter:
    """Meter of CUDA memory by the high-water mark of the allocator."""

    def __init__(self, device: str) -> None:
        import torch.cuda

        self._device, self._memory = device, torch.cuda

    def start(self) -> int:
        self._memory.reset_peak_memory_stats(self._device)
        return int(self._memory.memory_allocated(self._device))

    def stop(self) -> int:
        return int(self._memory.max_memory_allocated(self._device))


def _cpu_meter() -> _Meter:
    meter = _KernelMeter()
    try:
        meter.start()
    except OSError:  # not Linux, or a container that forbids it
        return _SamplingMeter()
    return meter


def count_parameters(module: nn.Module) -> int:
    """Number of trainable parameters; shared ones count once."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def count_attention_parameters(module: nn.Module) -> int:
    """Number of trainable parameters in attention mechanisms."""
    from bench.attention.base import Attention

    mechanisms = (part for part in module.modules() if isinstance(part, Attention))
    parameters = (parameter for part in mechanisms for parameter in part.parameters())
    found = {id(one): one.numel() for one in parameters if one.requires_grad}  # shared ones once
    return sum(found.values())
