"""What every mechanism must hold to, ours and other people's.

`check_mechanism` builds a mechanism for small sizes and tries it on a small random batch. The
same checks run in `attnbench check package.module:Class` and in our tests.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch

from bench.attention.base import Attention, AttentionOptions, Sizes
from bench.attention.build import build_attention
from bench.attention.conformance_batch import random_batch
from bench.attention.conformance_checks import CHECKS, Bench
from bench.errors import UsageError

#: Small, and equal, so that every score can be tried; two heads for those that have any.
SIZES = Sizes(query=6, memory=6, heads=2)


@dataclass(frozen=True)
class Finding:
    """What one check found: its name, whether all was well, and a line that says what was seen."""

    name: str
    passed: bool
    message: str


def check_mechanism(
    kind: type[Attention],
    score: str | None = None,
    *,
    options: AttentionOptions | None = None,
    sizes: Sizes = SIZES,
    seed: int = 0,
) -> list[Finding]:
    """Run every check on a mechanism.

    It is built in float64 and tried in evaluation mode, where nothing is random. Torch's random
    state is left as it was.

    Args:
        score: name of the score; None for the mechanism's classic one.
        options: an instance of its `Options`; None for their defaults.

    Raises:
        UsageError: a score that is unknown.
        NotApplicable: a score that the mechanism refuses.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            module = build_attention(kind, sizes, score, options).double().eval()
        except UsageError:
            raise
        except Exception as error:
            return [Finding("can be built", False, _told(error))]
        bench = Bench(module, random_batch(sizes), sizes)
        # A mechanism that changes what it is given must not change what other checks see.
        return [_finding(name, check, deepcopy(bench)) for name, check in CHECKS.items()]


def _finding(name: str, check: Callable[[Bench], str], bench: Bench) -> Finding:
    # A mechanism under test may fail in any way; each failure is a finding, not our crash.
    try:
        return Finding(name, True, check(bench))
    except Exception as error:
        return Finding(name, False, _told(error))


def _told(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, AssertionError) and text:
        return text
    return f"{type(error).__name__}: {text}{_place(error)}"


def _place(error: Exception) -> str:
    """File, line and text of the last line of Python outside torch that it came through."""
    torchs = str(Path(torch.__file__).parent)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith(torchs) and frame.line:
            return f" (at {Path(frame.filename).name}:{frame.lineno}, `{frame.line}`)"
    return ""
