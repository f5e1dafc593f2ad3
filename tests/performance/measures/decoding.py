"""Sentences per second of greedy and beam search, with outputs compared to the slow search."""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch
from slow_search import slow_beam_search
from torch import Tensor

from bench.models.search import Hypotheses, greedy_search
from bench.models.search.beam import beam_search
from measures.figure import Figure, core_seconds, one_core
from measures.models import make
from measures.sentences import batches, described, pairs
from measures.training_step import train
from tasks.data.batching import Batch
from tasks.data.vocabulary import BOS, EOS
from tasks.evaluation.decode import NEVER_WRITTEN
from tasks.training.sequence import GenerationModule

#: Steps of training before decoding: enough for outputs to end by themselves.
STEPS = 350
BEAM = 5
#: Sentences that the slow search decodes as well.
COMPARED = 8


def measure() -> list[Figure]:
    one_core()
    training, test = (batches(part) for part in pairs())
    order = random.Random(1)
    figures = []
    for name, attention, score, feeding in (
        ("soft + concat", "soft", "concat", False),
        ("global + general, input feeding", "global", "general", True),
    ):
        module = make(attention, score, input_feeding=feeding)
        train(module, [training[order.randrange(len(training))] for _ in range(STEPS)])
        module.eval()
        figures += [_speed(module, test, beam, name) for beam in (1, BEAM)]
        figures.append(_equal(module, test[len(test) // 2], name))
    return figures


def search(module: GenerationModule, batch: Batch, beam: int) -> Hypotheses:
    """Decode as OpenNMT-py does by default: no length penalty, at most 1.5 times as long as the
    source and 5 tokens."""
    with torch.inference_mode():
        memory = module.encode(batch)
        chosen = {"bos": BOS, "eos": EOS, "max_length": _limits(batch), "length_penalty": 0.0}
        parts = (module.decoder, module.head, memory)
        if beam == 1:
            return greedy_search(*parts, forbidden=NEVER_WRITTEN, **chosen)
        return beam_search(*parts, beam=beam, forbidden=NEVER_WRITTEN, **chosen)


def _limits(batch: Batch) -> Tensor:
    return (batch.source_mask.sum(dim=1) * 1.5 + 5).long()


def _speed(module: GenerationModule, test: Sequence[Batch], beam: int, name: str) -> Figure:
    found: list[Hypotheses] = []
    search(module, test[len(test) // 2], beam)
    seconds = core_seconds(lambda: found.extend(search(module, batch, beam) for batch in test))
    count = sum(len(one.lengths) for one in found)
    tokens = sum(int(one.lengths.sum()) for one in found)
    what = "greedy" if beam == 1 else f"beam {beam}"
    note = f"{described()}, {tokens / count:.1f} tokens each"
    return Figure(f"{what}: {name}", count / seconds, "sentences/s", note)


def _equal(module: GenerationModule, batch: Batch, name: str) -> Figure:
    limits = _limits(batch)[:COMPARED].tolist()
    with torch.inference_mode():
        memory = module.encode(batch)
    slow = slow_beam_search(
        module.decoder, module.head, memory,
        bos=BOS, eos=EOS, limits=limits, beam=BEAM, length_penalty=0.0, forbidden=NEVER_WRITTEN,
    )  # fmt: skip
    fast = search(module, batch, BEAM)
    rows = zip(fast.tokens.tolist(), fast.lengths.tolist(), slow, strict=False)
    same = sum(tokens[:length] == one.tokens for tokens, length, one in rows)
    return Figure(
        f"beam {BEAM} as the slow search: {name}",
        same / COMPARED,
        "of outputs",
        f"{COMPARED} of them",
    )
