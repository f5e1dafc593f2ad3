"""Testing a model that turns text into text; how its texts are scored is the task's business."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from bench.store.result import LengthBin, Primary
from tasks.base import Evaluation, Prediction
from tasks.data.text_pairs import ExampleT, Split, TextData
from tasks.evaluation.alignment_text import WordPair, alignment, attended, traces
from tasks.evaluation.bootstrap import Figure, Interval, by_length
from tasks.evaluation.decode import Decoding, decode
from tasks.training.sequence import Batch, GenerationModule


@dataclass(frozen=True)
class Scored:
    """The texts written for one test set, scored.

    Attributes:
        headline: the headline figure with its interval.
        figures: all figures by name, the headline among them.
        statistics: N,K, from whose sums the headline is made.
        examples: N, a figure per example, higher is better.
        signatures: how figures were computed, by figure.
    """

    headline: Interval
    figures: Mapping[str, float]
    statistics: np.ndarray
    examples: np.ndarray
    signatures: Mapping[str, str] = field(default_factory=dict)


#: Texts written, and the examples they were written for.
Score = Callable[[Sequence[str], Sequence[WordPair]], Scored]


@dataclass(frozen=True)
class Scoring:
    """How a task scores.

    Attributes:
        name: of the headline figure; more of it is better.
        figure: from sums of statistics to the headline figure.
    """

    name: str
    figure: Figure
    score: Score


@dataclass(frozen=True)
class _Tested:
    """One test set decoded and scored."""

    subset: str
    split: Split[Any]
    pairs: list[WordPair]
    decoding: Decoding
    texts: list[str]
    scored: Scored

    @property
    def lengths(self) -> np.ndarray:
        """N, source words."""
        return np.asarray([len(pair.source) for pair in self.pairs])


def evaluate(
    module: GenerationModule,
    data: TextData[ExampleT],
    scoring: Scoring,
    view: Callable[[ExampleT], WordPair],
) -> Evaluation:
    """Test on every test set; the first one gives the headline figure."""
    tested = [_test(module, data, name, scoring, view) for name in data.tests]
    first = tested[0]
    looked = {
        one.subset: attended(one.pairs, one.decoding, one.split, data.target_tokeniser)
        for one in tested
    }
    metrics: dict[str, float] = {}
    bins: list[LengthBin] = []
    for one in tested:
        prefix = "" if one is first else f"{one.subset}_"
        metrics |= {f"{prefix}{name}": value for name, value in _figures(one).items()}
        bins += by_length(one.subset, one.lengths, one.scored.statistics, scoring.figure)
    return Evaluation(
        metrics={**metrics, **data.controls()},
        primary=_primary(scoring.name, first.scored.headline),
        predictions=[row for one in tested for row in _predictions(one)],
        traces=[
            trace
            for one in tested
            for example in looked[one.subset][: module.settings.traces]
            for trace in traces(example, one.subset)
        ],
        by_length=bins,
        alignment=alignment(looked[first.subset], sure=data.sure),
        signatures=first.scored.signatures,
        decoded=sum(len(one.split) for one in tested),
        decode_seconds=sum(one.decoding.seconds for one in tested),
    )


def _test(
    module: GenerationModule,
    data: TextData[ExampleT],
    subset: str,
    scoring: Scoring,
    view: Callable[[ExampleT], WordPair],
) -> _Tested:
    split, longest = data.tests[subset], module.settings.max_length

    def limit(batch: Batch) -> Tensor:
        return (batch.source_mask.sum(dim=1) * 2 + 10).clamp(max=longest)

    decoding = decode(
        module,
        split.in_order_of_length(data.settings.eval_units),
        limit,
        keep_parts=module.settings.traces,
        device=module.device.type,
    )
    texts = data.target_tokeniser.decode_batch(one.tokens for one in decoding.written)
    pairs = list(map(view, split.examples))
    return _Tested(subset, split, pairs, decoding, texts, scoring.score(texts, pairs))


def _figures(tested: _Tested) -> dict[str, float]:
    nll = sum(one.nll for one in tested.decoding.read)
    units = sum(one.units for one in tested.decoding.read)
    return {**tested.scored.figures, "perplexity": math.exp(min(nll / units, 50.0))}


def _primary(name: str, interval: Interval) -> Primary:
    return Primary(
        name=name,
        value=interval.value,
        low=interval.low,
        high=interval.high,
        higher_is_better=True,
    )


def _predictions(tested: _Tested) -> list[Prediction]:
    lengths, decoding = tested.lengths, tested.decoding
    return [
        Prediction(
            example=pair.id,
            subset=tested.subset,
            source=pair.source_text,
            references=(pair.target_text,),
            prediction=text,
            length=int(lengths[row]),
            score=float(tested.scored.examples[row]),
            statistics=tuple(tested.scored.statistics[row].tolist()),
            extra={
                "nll": round(read.nll, 4),
                "units": read.units,
                "log_prob": round(written.score, 4),
            },
        )
        for row, (pair, text, read, written) in enumerate(
            zip(tested.pairs, tested.texts, decoding.read, decoding.written, strict=True)
        )
    ]
