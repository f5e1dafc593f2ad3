"""Scoring of transcripts, and the test of a trained speech model.

An error rate of phones, characters or words is the edit distance to the reference over the
reference's length (Levenshtein 1966), summed over the test set, as torchmetrics does. The distances
are computed here, for all utterances at once, because intervals and curves need those of every
utterance: figure and interval are of the same sums.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from bench.errors import UsageError
from bench.store.result import Trace
from tasks.base import Evaluation
from tasks.data.batching import Batch
from tasks.data.unicode import composed, is_unspaced
from tasks.evaluation.alignment import weights_notes
from tasks.evaluation.bootstrap import bootstrap, ratio
from tasks.evaluation.decode import Decoding, LengthLimit, Written, decode
from tasks.evaluation.scoring import (
    Outputs,
    Reference,
    Scorer,
    Scores,
    prefixed,
    score_outputs,
    with_perplexity,
)
from tasks.evaluation.sequence_alignment import Edits, Sequences, edit
from tasks.speech.alignment import Listened, TimeGrid, agree, equal_pairs, sound, traces
from tasks.speech.baselines import constant_rate, constant_transcript
from tasks.speech.data import SpeechData, Split
from tasks.speech.datasets import Unit, Utterance, join_units
from tasks.speech.model import SpeechModule

#: The error rate of each kind of unit.
NAMES: dict[Unit, str] = {"phones": "per", "characters": "cer", "words": "wer"}
#: The by-length curve counts so many units a second.
TENTHS = 10
#: Output may be this much denser than the densest of training, and this many units longer.
DENSER, LONGER = 1.25, 3


@dataclass(frozen=True, kw_only=True)
class SpeechScores(Scores):
    """With the edits of every utterance."""

    edits: Edits


class SpeechScorer(Scorer[SpeechData]):
    """Error rates of the corpus's units."""

    higher_is_better: ClassVar[bool] = False
    #: How far from the right place a model looked: only its weights know.
    model_metrics: ClassVar[frozenset[str]] = frozenset(
        {
            "centre_ms",
            "peak_ms",
            "monotonicity",
            "mass_on_span",
            "uniform_centre_ms",
            "diagonal_centre_ms",
        }
    )

    def references(self, data: SpeechData) -> Mapping[str, Sequence[Reference]]:
        unit = data.corpus.unit
        return {
            subset: [
                Reference(
                    example=one.id,
                    source=one.sound.name if isinstance(one.sound, Path) else one.id,
                    references=(join_units(one.units, unit),),
                    length=int(np.rint(one.seconds * TENTHS)),
                )
                for one in split.utterances
            ]
            for subset, split in data.tests.items()
        }

    def score(self, data: SpeechData, subset: str, outputs: Outputs) -> SpeechScores:
        unit, split = data.corpus.unit, data.tests[subset]
        written = [split_units(composed(text), unit) for text in outputs.texts]
        wanted = [_scored(one.units, unit) for one in split.utterances]
        scores = score(written, wanted, unit)
        units = int((split.targets.lengths + 1).sum())
        return replace(scores, metrics=with_perplexity(scores.metrics, outputs.nll, units))

    def baselines(self, data: SpeechData) -> Mapping[str, float]:
        constant = constant_transcript(data.corpus)
        rates = {name: constant_rate(constant, one.utterances) for name, one in data.tests.items()}
        return prefixed({name: {"baseline_constant": rate} for name, rate in rates.items()})


def split_units(text: str, unit: Unit) -> tuple[str, ...]:
    """The units of an output as it is kept: the inverse of `join_units`."""
    return tuple(text) if unit == "characters" else tuple(text.split())


def _scored(units: Sequence[str], unit: Unit) -> tuple[str, ...]:
    """Units as they are scored: composed, so that an accent joins the letter before it."""
    return split_units(composed(join_units(units, unit)), unit)


def score(hypotheses: Sequences, references: Sequences, unit: Unit) -> SpeechScores:
    """Score units written against the references' units. References are never empty.

    All figures are fractions of the reference units: the error rate ("per", "cer" or "wer"),
    substitutions, insertions, deletions, the share of utterances without
    any error, and for characters (code points) the word error rate as well, unless words have no
    blanks between them. An utterance's figure is 1 less its error rate.
    """
    assert len(hypotheses) == len(references) > 0
    edits = edit(hypotheses, references)
    name = NAMES[unit]
    rate = bootstrap(edits.statistics, ratio)
    total = float(edits.lengths.sum())
    metrics = {
        name: rate.value,
        "substitutions": float(edits.substitutions.sum()) / total,
        "insertions": float(edits.insertions.sum()) / total,
        "deletions": float(edits.deletions.sum()) / total,
        "exact": float((edits.errors == 0).mean()),
    }
    notes: list[str] = []
    if unit != "phones" and is_unspaced(join_units(units, unit) for units in references):
        what = "no WER: " if unit == "characters" else "WER counts whatever stands between blanks: "
        notes.append(f"{what}the transcripts have no blanks between words")
    elif unit == "characters":
        words = edit(_words(hypotheses), _words(references))
        metrics["wer"] = float(ratio(words.statistics.sum(axis=0)))
    return SpeechScores(
        name=name,
        interval=rate,
        metrics=metrics,
        statistics=edits.statistics,
        figure=ratio,
        examples=1.0 - edits.errors / np.maximum(edits.lengths, 1),
        notes=tuple(notes),
        edits=edits,
    )


def evaluate(module: SpeechModule, data: SpeechData) -> Evaluation:
    """Test on every test set; the first one gives the headline figure."""
    grid = time_grid(module, data.store.frame_seconds)
    decoded = {name: _decode(module, data, split) for name, split in data.tests.items()}
    outputs = {name: _outputs(one, data, data.tests[name]) for name, one in decoded.items()}
    scores = score_outputs(SpeechScorer(), data, outputs)
    listened = {
        name: _listened(one, data, data.tests[name], scores.subsets[name])
        for name, one in decoded.items()
    }
    agreed = {name: agree(heard, grid) for name, heard in listened.items()}
    looked = prefixed({name: one[1] if one else {} for name, one in agreed.items()})
    first = next(iter(agreed.values()))
    return Evaluation(
        metrics={**scores.metrics, **looked},
        primary=scores.primary,
        predictions=scores.predictions,
        traces=[
            trace
            for name, heard in listened.items()
            for trace in _traces(heard[: module.settings.num_traces], name, grid, data)
        ],
        by_length=scores.by_length,
        alignment=None if first is None else first[0],
        signatures=scores.signatures,
        notes=(*scores.notes, *weights_notes(module.decoder.weights_kind)),
        decoded=sum(map(len, data.tests.values())),
        decode_seconds=sum(one.seconds for one in decoded.values()),
        sound_seconds=sum(one.seconds for split in data.tests.values() for one in split.utterances),
    )


def time_grid(module: SpeechModule, frame: float) -> TimeGrid:
    """When the positions are that the decoder attends to.

    Args:
        frame: seconds from one frame to the next.
    """
    return TimeGrid(frame * module.front.stride, frame * module.front.offset)


def length_limit(longest: int, fastest: float) -> LengthLimit:
    """Outputs of at most `longest` units, and little denser than the densest of training.

    Args:
        fastest: most target units a frame in training.
    """

    def limit(batch: Batch) -> Tensor:
        frames = batch.source_mask.sum(dim=1)
        return (torch.ceil(frames * DENSER * fastest).long() + LONGER).clamp(max=longest)

    return limit


def _decode(module: SpeechModule, data: SpeechData, split: Split) -> Decoding:
    return decode(
        module,
        split.in_order_of_length(data.settings.eval_batch_tokens),
        length_limit(module.settings.max_length, data.fastest),
        keep_parts=module.settings.num_traces,
        device=module.device.type,
    )


def _outputs(decoding: Decoding, data: SpeechData, split: Split) -> Outputs:
    rows = zip(split.utterances, decoding.written, decoding.read, strict=True)
    return Outputs(
        texts=[join_units(_units(one, data), data.corpus.unit) for one in decoding.written],
        nll=[one.nll for one in decoding.read],
        extra=[
            {
                "nll": round(read.nll, 4),
                "units": read.units,
                "log_prob": round(written.score, 4),
                "seconds": round(utterance.seconds, 3),
                "speaker": utterance.speaker,
                "transcript": utterance.text,
            }
            for utterance, written, read in rows
        ],
    )


def _listened(decoding: Decoding, data: SpeechData, split: Split, scores: Scores) -> list[Listened]:
    """The utterances with their weights; none where the model has no weights."""
    assert isinstance(scores, SpeechScores)
    unit = data.corpus.unit
    rows = zip(split.utterances, scores.edits.pairs, decoding.written, decoding.read, strict=True)
    listened = []
    for utterance, pairs, written, read in rows:
        if written.weights is not None and read.weights is not None:
            units = _units(written, data)
            if any(_scored(one, unit) != one for one in (units, utterance.units)):
                [pairs] = edit([units], [utterance.units]).pairs  # over units as they stand
            produced = equal_pairs(units, utterance.units, pairs)
            listened.append(Listened(utterance, units, produced, written, read))
    return listened


def _units(written: Written, data: SpeechData) -> tuple[str, ...]:
    return data.vocabulary.decode(written.tokens.tolist())


def _traces(
    listened: Sequence[Listened], subset: str, grid: TimeGrid, data: SpeechData
) -> list[Trace]:
    bands = data.store.size // (1 + data.settings.deltas)
    split = data.tests[subset]
    return [
        trace
        for index, one in enumerate(listened)
        for trace in traces(
            one, subset, grid, split.frames(index)[:, :bands].T, _sound(one.utterance, data)
        )
    ]


def _sound(utterance: Utterance, data: SpeechData) -> dict[str, Any] | None:
    """The sound for its trace; None where the corpus has only features, or no longer its file."""
    reader = data.corpus.reader
    if reader.kind != "waveforms":
        return None
    try:
        [samples] = reader.read([utterance])
    except UsageError:
        return None
    return sound(samples, data.corpus.rate)


def _words(sequences: Sequences) -> list[list[str]]:
    return [join_units(units, "characters").split() for units in sequences]
