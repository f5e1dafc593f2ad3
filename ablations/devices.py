"""Which device trials use."""

from __future__ import annotations

from bench.errors import UsageError


def device_of(request: str) -> str:
    """ "cpu" or "cuda", "cuda:<index>", from what a user asked for ("auto" takes a GPU if there
    is one). Raises UsageError for a device that is not there."""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if request == "auto":
        return "cuda" if count else "cpu"
    if request == "cpu":
        return request
    kind, _, index = request.partition(":")
    if kind != "cuda" or (index and not index.isdigit()):
        raise UsageError(
            f"no device '{request}'", where="--device", remedy="auto, cpu, cuda or cuda:<index>"
        )
    if int(index or 0) >= count:
        raise UsageError(
            f"no device '{request}'", where="--device", remedy=f"this machine has {count} GPUs"
        )
    return request
