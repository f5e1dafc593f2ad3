"""Testing a speech model: error rates, by-length curve, alignments, predictions, traces."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bench.store.result import LengthBin, Primary
from bench.store.trace import Trace
from tasks.base import Evaluation, Prediction
from tasks.data.batching import Batch
from tasks.evaluation.bootstrap import by_length, ratio
from tasks.evaluation.decode import Decoding, decode
from tasks.speech.alignment import Listened, TimeGrid, agree, equal_pairs, traces
from tasks.speech.baselines import constant_rate, constant_transcript
from tasks.speech.data import SpeechData, Split
from tasks.speech.datasets import Utterance, join_units
from tasks.speech.metrics import Scores, score
from tasks.speech.model import SpeechModule

#: The by-length curve counts so many units a second.
TENTHS = 10
#: Output may be this much denser than the densest of training, and this many units longer.
DENSER, LONGER = 1.25, 3


@dataclass(frozen=True)
class _Tested:
    """One test set decoded and scored.

    Attributes:
        written: the units of every output.
        heard: weights of the utterances, empty where the model has none.
    """

    subset: str
    split: Split
    decoding: Decoding
    written: list[tuple[str, ...]]
    scores: Scores
    heard: list[Listened]


def evaluate(module: SpeechModule, data: SpeechData) -> Evaluation:
    """Test on every test set; the first one gives the headline figure."""
    grid = time_grid(module, data)
    tested = [_test(module, data, name, split) for name, split in data.tests.items()]
    first = tested[0]
    agreed = {one.subset: agree(one.heard, grid) for one in tested}
    constant = constant_transcript(data.corpus)
    metrics: dict[str, float] = {}
    bins: list[LengthBin] = []
    for one in tested:
        prefix = "" if one is first else f"{one.subset}_"
        figures = _figures(one)
        agreement = agreed[one.subset]
        if agreement is not None:
            figures |= agreement.metrics
        figures["control_constant"] = constant_rate(constant, one.split.utterances)
        metrics |= {f"{prefix}{name}": value for name, value in figures.items()}
        bins += by_length(one.subset, _tenths(one.split), one.scores.edits.statistics, ratio)
    interval, found = first.scores.rate, agreed[first.subset]
    return Evaluation(
        metrics=metrics,
        primary=Primary(
            name=first.scores.name,
            value=interval.value,
            low=interval.low,
            high=interval.high,
            higher_is_better=False,
        ),
        predictions=[row for one in tested for row in _predictions(one, data)],
        traces=[
            trace for one in tested for trace in _traces(one, grid, module.settings.traces, data)
        ],
        by_length=bins,
        alignment=None if found is None else found.alignment,
        decoded=sum(len(one.split) for one in tested),
        decode_seconds=sum(one.decoding.seconds for one in tested),
    )


def time_grid(module: SpeechModule, data: SpeechData) -> TimeGrid:
    """When the positions are that the decoder attends to."""
    frame = data.store.frame_seconds
    return TimeGrid(frame * module.front.stride, frame * module.front.offset)


def _test(module: SpeechModule, data: SpeechData, subset: str, split: Split) -> _Tested:
    longest, densest = module.settings.max_length, DENSER * data.fastest

    def limit(batch: Batch) -> Tensor:
        frames = batch.source_mask.sum(dim=1)
        return (torch.ceil(frames * densest).long() + LONGER).clamp(max=longest)

    decoding = decode(
        module,
        split.in_order_of_length(data.settings.eval_units),
        limit,
        keep_parts=module.settings.traces,
        device=module.device.type,
    )
    written = [data.vocabulary.decode(one.tokens.tolist()) for one in decoding.written]
    scores = score(written, [one.units for one in split.utterances], data.corpus.unit)
    heard = [
        Listened.of(utterance, units, equal_pairs(units, utterance.units, pairs), free, forced)
        for utterance, units, pairs, free, forced in zip(
            split.utterances,
            written,
            scores.edits.pairs,
            decoding.written,
            decoding.read,
            strict=True,
        )
    ]
    return _Tested(
        subset, split, decoding, written, scores, [one for one in heard if one is not None]
    )


def _figures(tested: _Tested) -> dict[str, float]:
    nll = sum(one.nll for one in tested.decoding.read)
    units = sum(one.units for one in tested.decoding.read)
    return {**tested.scores.metrics, "perplexity": math.exp(min(nll / units, 50.0))}


def _tenths(split: Split) -> np.ndarray:
    """N durations in tenths of a second."""
    seconds = np.array([one.seconds for one in split.utterances])
    return np.rint(seconds * TENTHS).astype(np.int64)


def _predictions(tested: _Tested, data: SpeechData) -> list[Prediction]:
    unit, edits = data.corpus.unit, tested.scores.edits
    rates = edits.errors / np.maximum(edits.lengths, 1)
    rows = zip(
        tested.split.utterances,
        tested.written,
        tested.decoding.written,
        tested.decoding.read,
        _tenths(tested.split).tolist(),
        rates.tolist(),
        edits.statistics.tolist(),
        strict=True,
    )
    return [
        Prediction(
            example=utterance.id,
            subset=tested.subset,
            source=_named(utterance),
            references=(join_units(utterance.units, unit),),
            prediction=join_units(units, unit),
            length=length,
            score=1.0 - rate,
            statistics=tuple(statistics),
            extra={
                "nll": round(read.nll, 4),
                "units": read.units,
                "log_prob": round(written.score, 4),
                "seconds": round(utterance.seconds, 3),
                "speaker": utterance.speaker,
                "transcript": utterance.text,
            },
        )
        for utterance, units, written, read, length, rate, statistics in rows
    ]


def _named(utterance: Utterance) -> str:
    sound = utterance.sound
    return sound.name if isinstance(sound, Path) else utterance.id


def _traces(tested: _Tested, grid: TimeGrid, count: int, data: SpeechData) -> list[Trace]:
    bands = data.store.size // (1 + data.settings.deltas)
    return [
        trace
        for index, one in enumerate(tested.heard[:count])
        for trace in traces(one, tested.subset, grid, tested.split.frames(index)[:, :bands].T)
    ]
