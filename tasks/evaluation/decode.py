"""Testing a trained generator: what it writes freely, and how it reads the reference."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from torch import Tensor

from bench.attention.base import Memory
from bench.hardware import Stopwatch
from bench.models.search import Hypotheses, greedy_search, with_weights
from bench.models.search.beam import beam_search
from tasks.data.batching import Batch, Matrices
from tasks.data.vocabulary import BOS, EOS, PAD, UNK
from tasks.settings import Settings
from tasks.training.module import DivergedError
from tasks.training.sequence import GenerationModule

NEVER_WRITTEN = (PAD, BOS, UNK)


@dataclass(frozen=True)
class Written:
    """What was written for one example.

    Attributes:
        index: place of the example in its split.
        tokens: T ids, without the end token.
        score: log-probability of the output, end token included.
        weights: T,S over the example's own source positions, or None. Rows sum to 1, whatever the
            mechanism's weights are (`tasks.data.batching.Matrices`).
        parts: further T,S matrices by name, where they were asked for.
        further: words of the batch that a pointer may have copied, whose ids follow those of the
            vocabulary.
    """

    index: int
    tokens: np.ndarray
    score: float
    weights: np.ndarray | None = None
    parts: Mapping[str, np.ndarray] = field(default_factory=dict)
    further: tuple[str, ...] = ()


@dataclass(frozen=True)
class Read:
    """How the reference of one example was read, teacher-forced.

    Attributes:
        nll: summed negative log-likelihood in nats, end token included.
        units: units summed over.
        weights, parts: as in `Written`, for the tokens of the reference.
    """

    index: int
    nll: float
    units: int
    weights: np.ndarray | None = None
    parts: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Decoding:
    """Everything decoded of one split, in the order of the split, and the seconds it took."""

    written: list[Written]
    read: list[Read]
    seconds: float


#: Longest output allowed for every example of a batch: batch -> B int64.
LengthLimit = Callable[[Batch], Tensor]


def decode(
    module: GenerationModule,
    batches: Iterable[Batch],
    limit: LengthLimit,
    *,
    keep_parts: int = 0,
    device: str = "cpu",
) -> Decoding:
    """Write and read all examples of a split.

    Args:
        batches: any order; results come sorted by index.
        keep_parts: heads and layers are kept for examples with a smaller index than this.
        device: where the module is, for the stopwatch.

    Raises:
        DivergedError: what the module computes is not finite.
    """
    watch = Stopwatch(device)
    written: list[Written] = []
    read: list[Read] = []
    for batch in batches:
        batch = batch.to(module.device)
        with watch:
            memory = module.encode(batch)
            found = _search(module, memory, batch, limit(batch))
        _check_finite("its outputs", found.log_probs.tolist())
        written += _unpack(module, found, memory, batch, keep_parts)
        read += _read(module, memory, batch, keep_parts)
    written.sort(key=lambda one: one.index)
    read.sort(key=lambda one: one.index)
    return Decoding(written, read, watch.seconds)


def write(module: GenerationModule, batch: Batch, limit: LengthLimit) -> list[Written]:
    """Write the outputs of a batch, with heads and layers, where there is nothing to be read.

    Raises DivergedError as `decode` does.
    """
    batch = batch.to(module.device)
    memory = module.encode(batch)
    found = _search(module, memory, batch, limit(batch))
    _check_finite("its outputs", found.log_probs.tolist())
    return _unpack(module, found, memory, batch, keep_parts=len(batch.index))


def read_references(module: GenerationModule, batches: Iterable[Batch]) -> list[Read]:
    """Read references, teacher-forced, where an example has several: `decode` reads one of each.
    In the order of their indices."""
    read: list[Read] = []
    for batch in batches:
        batch = batch.to(module.device)
        read += _read(module, module.encode(batch), batch, keep_parts=0)
    return sorted(read, key=lambda one: one.index)


def _search(module: GenerationModule, memory: Memory, batch: Batch, limit: Tensor) -> Hypotheses:
    settings: Settings = module.settings
    model = (*module.searched(batch), memory)
    tokens: dict[str, Any] = {"bos": BOS, "eos": EOS, "forbidden": NEVER_WRITTEN}
    if settings.beam_size == 1 and not settings.coverage_penalty:
        return greedy_search(*model, **tokens, max_length=limit)
    return beam_search(
        *model,
        **tokens,
        max_length=limit,
        beam=settings.beam_size,
        length_penalty=settings.length_penalty,
        coverage_penalty=settings.coverage_penalty,
    )


def _unpack(
    module: GenerationModule, found: Hypotheses, memory: Memory, batch: Batch, keep_parts: int
) -> list[Written]:
    tokens, lengths = found.tokens.cpu().numpy(), found.lengths.tolist()
    if module.pointer is not None:  # the decoder reads copied words as it knows them
        found = replace(found, tokens=module.pointer.known(found.tokens))
    found = with_weights(
        found, module.decoder, memory, BOS, parts=bool((batch.index < keep_parts).any())
    )
    sources, scores = memory.lengths.tolist(), found.log_probs.tolist()
    matrices = Matrices.of(found.weights, found.parts, module.decoder.weights_kind)
    further = () if batch.copies is None else batch.copies.words
    rows = []
    for row, index in enumerate(batch.index.tolist()):
        length = lengths[row]
        if length and tokens[row, length - 1] == EOS:
            length -= 1
        seen = matrices.example(row, length, sources[row], with_parts=index < keep_parts)
        rows.append(Written(index, tokens[row, :length], scores[row], *seen, further))
    return rows


def _read(module: GenerationModule, memory: Memory, batch: Batch, keep_parts: int) -> list[Read]:
    decoded = module.decoder(batch.inputs, memory, need_weights=True)
    real = batch.outputs != PAD  # B,T
    token_nll = decoded.features.new_zeros(real.shape).float()
    token_nll[real] = module.word_loss(decoded, batch, real).nll.float()
    nll = token_nll.sum(dim=1).tolist()
    _check_finite("references", nll)
    units, sources = real.sum(dim=1).tolist(), memory.lengths.tolist()
    matrices = Matrices.of(decoded.weights, decoded.parts, module.decoder.weights_kind)
    rows = []
    for row, index in enumerate(batch.index.tolist()):
        length, with_parts = units[row] - 1, index < keep_parts
        seen = matrices.example(row, length, sources[row], with_parts=with_parts)
        rows.append(Read(index, nll[row], units[row], *seen))
    return rows


def _check_finite(what: str, likelihoods: Iterable[float]) -> None:
    if not all(map(math.isfinite, likelihoods)):
        raise DivergedError(f"the trained model gives {what} a likelihood that is not finite")
