"""Testing a translation model: scores, by-length curve, alignments, predictions, traces."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from bench.result import Alignment, LengthBin, Primary
from bench.trace import Trace
from tasks.alignment import (
    Agreement,
    agreement,
    diagonal_weights,
    match_units,
    merge_pieces,
    total,
    uniform_weights,
)
from tasks.base import Evaluation, Prediction
from tasks.decoding import Decoding, Read, Written, decode
from tasks.generation import Batch, GenerationModule
from tasks.intervals import by_length
from tasks.translation.corpus import Pair
from tasks.translation.data import Split, TranslationData
from tasks.translation.metrics import Scores, bleu, score

END = "</s>"


@dataclass(frozen=True)
class _Tested:
    """One test set decoded and scored."""

    subset: str
    split: Split
    decoding: Decoding
    predictions: list[str]
    scores: Scores


@dataclass(frozen=True)
class _Looked:
    """Weights over words of one example, written freely and read forced."""

    pair: Pair
    source: tuple[str, ...]
    written: tuple[str, ...]
    produced: np.ndarray  # for each reference word the written word that stands for it, or -1
    free: np.ndarray
    forced: np.ndarray
    free_parts: dict[str, np.ndarray]
    forced_parts: dict[str, np.ndarray]


def evaluate(module: GenerationModule, data: TranslationData) -> Evaluation:
    """Test on every test set; the first one gives the headline figure."""
    tested = [_test(module, data, name, split) for name, split in data.tests.items()]
    first = tested[0]
    looked = {one.subset: _look(one, data) for one in tested}
    metrics: dict[str, float] = {}
    bins: list[LengthBin] = []
    for one in tested:
        prefix = "" if one is first else f"{one.subset}_"
        metrics |= {f"{prefix}{name}": value for name, value in _figures(one).items()}
        bins += by_length(one.subset, _lengths(one.split), one.scores.statistics, bleu)
    interval = first.scores.bleu
    traces = module.settings.traces
    return Evaluation(
        metrics=metrics,
        primary=Primary(
            name="bleu",
            value=interval.value,
            low=interval.low,
            high=interval.high,
            higher_is_better=True,
        ),
        predictions=[row for one in tested for row in _predictions(one)],
        traces=[
            trace
            for one in tested
            for seen in looked[one.subset][:traces]
            for trace in _traces(seen, one.subset)
        ],
        by_length=bins,
        alignment=_alignment(looked[first.subset], data.corpus.sure),
        signatures=first.scores.signatures,
        decoded=sum(len(one.split) for one in tested),
        decode_seconds=sum(one.decoding.seconds for one in tested),
    )


def _test(module: GenerationModule, data: TranslationData, subset: str, split: Split) -> _Tested:
    longest = module.settings.max_length

    def limit(batch: Batch) -> Tensor:
        return (batch.source_mask.sum(dim=1) * 2 + 10).clamp(max=longest)

    decoding = decode(
        module,
        split.in_order_of_length(data.settings.eval_units),
        limit,
        keep_parts=module.settings.traces,
        device=module.device.type,
    )
    predictions = data.target_tokeniser.decode_batch(one.tokens for one in decoding.written)
    references = [pair.target_text for pair in split.pairs]
    return _Tested(subset, split, decoding, predictions, score(predictions, references))


def _figures(tested: _Tested) -> dict[str, float]:
    nll = sum(one.nll for one in tested.decoding.read)
    units = sum(one.units for one in tested.decoding.read)
    return {
        "bleu": tested.scores.bleu.value,
        "chrf": tested.scores.chrf,
        "perplexity": math.exp(min(nll / units, 50.0)),
        "exact": float(
            np.mean(
                [
                    written == pair.target_text
                    for written, pair in zip(tested.predictions, tested.split.pairs, strict=True)
                ]
            )
        ),
    }


def _lengths(split: Split) -> np.ndarray:
    return np.asarray([len(pair.source) for pair in split.pairs])


def _predictions(tested: _Tested) -> list[Prediction]:
    lengths = _lengths(tested.split)
    return [
        Prediction(
            example=pair.id,
            subset=tested.subset,
            source=pair.source_text,
            references=(pair.target_text,),
            prediction=text,
            length=int(lengths[row]),
            score=float(tested.scores.sentence_chrf[row]),
            statistics=tuple(tested.scores.statistics[row].tolist()),
            extra={"nll": round(read.nll, 4), "log_prob": round(written.score, 4)},
        )
        for row, (pair, text, read, written) in enumerate(
            zip(
                tested.split.pairs,
                tested.predictions,
                tested.decoding.read,
                tested.decoding.written,
                strict=True,
            )
        )
    ]


def _look(tested: _Tested, data: TranslationData) -> list[_Looked]:
    """Weights over words, for every example that has any."""
    rows = zip(tested.split.pairs, tested.decoding.written, tested.decoding.read, strict=True)
    return [
        _over_words(pair, written, read, tested.split, data)
        for pair, written, read in rows
        if written.weights is not None and read.weights is not None
    ]


def _over_words(
    pair: Pair, written: Written, read: Read, split: Split, data: TranslationData
) -> _Looked:
    index = written.index
    source = (*pair.source, END)
    columns = np.append(split.source.words(index), len(pair.source))  # the end is a word of its own
    reference_rows = split.target.words(index)
    words, written_rows = data.target_tokeniser.words(written.tokens)

    def free(weights: np.ndarray | None) -> np.ndarray:
        assert weights is not None
        return merge_pieces(weights, written_rows, columns)

    def forced(weights: np.ndarray | None) -> np.ndarray:
        assert weights is not None
        return merge_pieces(weights, reference_rows, columns)

    return _Looked(
        pair=pair,
        source=source,
        written=words,
        produced=match_units(words, pair.target),
        free=free(written.weights),
        forced=forced(read.weights),
        free_parts={name: free(part) for name, part in written.parts.items()},
        forced_parts={name: forced(part) for name, part in read.parts.items()},
    )


def _alignment(looked: list[_Looked], sure: bool) -> Alignment | None:
    linked = [one for one in looked if one.pair.links]
    if not linked:
        return None

    def judged(weights: np.ndarray, seen: _Looked, produced: np.ndarray | None) -> Agreement:
        return agreement(weights, seen.pair.links or (), sure=sure, produced=produced)

    def control(make: object) -> Agreement:
        return total(
            judged(make(len(one.pair.target), len(one.source)), one, None)  # type: ignore[operator]
            for one in linked
        )

    free = total(judged(one.free, one, one.produced) for one in linked).figures()
    return Alignment(
        **free.model_dump(),
        forced=total(judged(one.forced, one, None) for one in linked).figures(),
        controls={
            "uniform": control(uniform_weights).figures(),
            "diagonal": control(diagonal_weights).figures(),
        },
    )


def _traces(seen: _Looked, subset: str) -> list[Trace]:
    links = seen.pair.links
    carried = None
    if links is not None:
        carried = tuple((int(seen.produced[t]), s) for t, s in links if seen.produced[t] >= 0)
    common = {"example": seen.pair.id, "subset": subset, "kind": "words", "source": seen.source}
    return [
        Trace(
            **common,  # type: ignore[arg-type]
            mode="free",
            target=seen.written,
            weights=seen.free,
            parts=seen.free_parts,
            gold=carried,
        ),
        Trace(
            **common,  # type: ignore[arg-type]
            mode="forced",
            target=seen.pair.target,
            weights=seen.forced,
            parts=seen.forced_parts,
            gold=links,
        ),
    ]
