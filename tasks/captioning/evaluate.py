"""Testing a captioning model: scores, controls, by-length curve, regions, predictions, traces."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bench.store.result import Alignment, LengthBin, Primary
from tasks.base import Evaluation, Prediction
from tasks.captioning.alignment import (
    Looked,
    agreement,
    control_figures,
    forced_case,
    free_case,
    traces,
)
from tasks.captioning.corpus import Caption
from tasks.captioning.data import CaptioningData, Split
from tasks.captioning.metrics import SIGNATURE, CaptionScores, score
from tasks.captioning.model import CaptioningModule
from tasks.evaluation.bootstrap import by_length, ratio
from tasks.evaluation.decode import Decoding, Read, decode, read_references
from tasks.training.sequence import Batch

#: Figures of the controls that are kept, by control.
_CONTROL_FIGURES = ("cider", "bleu_4")


@dataclass(frozen=True)
class _Tested:
    """One test set decoded and scored.

    Attributes:
        decoding: what was written for every picture, and how one reference of it was read.
        references: how every reference was read.
    """

    subset: str
    split: Split
    decoding: Decoding
    references: list[Read]
    predictions: list[str]
    scores: CaptionScores


def evaluate(module: CaptioningModule, data: CaptioningData) -> Evaluation:
    """Test on every test set; the first one gives the headline figure."""
    tested = [_test(module, data, name, split) for name, split in data.tests.items()]
    first = tested[0]
    metrics: dict[str, float] = {}
    bins: list[LengthBin] = []
    for one in tested:
        prefix = "" if one is first else f"{one.subset}_"
        found = {**_figures(one), **_control_figures(data, one.subset)}
        metrics |= {f"{prefix}{name}": value for name, value in found.items()}
        bins += by_length(one.subset, _lengths(one.split), one.scores.cider_statistics, ratio)
    interval = first.scores.cider_interval()
    return Evaluation(
        metrics=metrics,
        primary=Primary(
            name="cider",
            value=interval.value,
            low=interval.low,
            high=interval.high,
            higher_is_better=True,
        ),
        predictions=[row for one in tested for row in _predictions(one)],
        traces=[
            trace
            for one in tested
            for seen in _looked(one, data, module.settings.traces)
            for trace in traces(seen, one.subset)
        ],
        by_length=bins,
        alignment=_alignment(first, data),
        signatures={"captions": SIGNATURE},
        notes=list(dict.fromkeys(note for one in tested for note in one.scores.notes)),
        decoded=sum(len(one.split) for one in tested),
        decode_seconds=sum(one.decoding.seconds for one in tested),
    )


def _test(module: CaptioningModule, data: CaptioningData, subset: str, split: Split) -> _Tested:
    settings = module.settings

    def limit(batch: Batch) -> Tensor:
        return torch.full_like(batch.index, settings.max_length)

    decoding = decode(
        module,
        split.by_picture(settings.eval_pictures),
        limit,
        keep_parts=settings.traces,
        device=module.device.type,
    )
    predictions = data.tokeniser.decode_batch(one.tokens for one in decoding.written)
    return _Tested(
        subset,
        split,
        decoding,
        read_references(module, split.by_caption(settings.eval_pictures)),
        predictions,
        score(
            predictions,
            [picture.references for picture in split.pictures],
            with_meteor=settings.meteor,
        ),
    )


def _figures(tested: _Tested) -> dict[str, float]:
    nll = sum(one.nll for one in tested.references)
    units = sum(one.units for one in tested.references)
    right = [
        written in picture.references
        for written, picture in zip(tested.predictions, tested.split.pictures, strict=True)
    ]
    return {
        **tested.scores.metrics(),
        "perplexity": math.exp(min(nll / units, 50.0)),
        "exact": float(np.mean(right)),
    }


def _control_figures(data: CaptioningData, subset: str) -> dict[str, float]:
    """What captions are worth that know nothing of the picture, and what people's are worth."""
    held = data.controls[subset]
    kinds = {"constant": held.constant, "shuffled": held.shuffled, "human": held.human}
    return {
        f"control_{kind}_{name}": figures[name]
        for kind, figures in kinds.items()
        for name in _CONTROL_FIGURES
        if name in figures
    }


def _lengths(split: Split) -> np.ndarray:
    return np.asarray([picture.length for picture in split.pictures])


def _predictions(tested: _Tested) -> list[Prediction]:
    statistics = tested.scores.cider_statistics
    rows = zip(
        tested.split.pictures,
        tested.predictions,
        tested.decoding.read,
        tested.decoding.written,
        strict=True,
    )
    return [
        Prediction(
            example=picture.id,
            subset=tested.subset,
            source=picture.id,
            references=picture.references,
            prediction=text,
            length=picture.length,
            score=float(tested.scores.cider[row]),
            statistics=tuple(statistics[row].tolist()),
            extra={
                "bleu": tested.scores.bleu[row].tolist(),
                "rouge_l": round(float(tested.scores.rouge_l[row]), 4),
                "nll": round(read.nll, 4),
                "log_prob": round(written.score, 4),
            },
        )
        for row, (picture, text, read, written) in enumerate(rows)
    ]


def _alignment(tested: _Tested, data: CaptioningData) -> Alignment | None:
    """Weights against the boxes of phrases, over all references when they are read."""
    split = tested.split
    groups = [picture.captions for picture in split.pictures]
    captions = [caption for group in groups for caption in group]
    if not any(caption.phrases for caption in captions):
        return None
    written = tested.decoding.written
    free = agreement(
        (
            free_case(one.weights, _words(data, one.tokens), groups[one.index])
            for one in written
            if one.weights is not None and any(caption.phrases for caption in groups[one.index])
        ),
        data.grid,
    )
    forced = agreement(
        (
            forced_case(one.weights, captions[one.index])
            for one in tested.references
            if one.weights is not None and captions[one.index].phrases
        ),
        data.grid,
    )
    if not free.expected:
        return None  # without attention there is nothing to judge
    return Alignment(
        **free.figures().model_dump(),
        forced=forced.figures(),
        controls=control_figures(groups, data.grid),
    )


def _words(data: CaptioningData, tokens: np.ndarray) -> tuple[str, ...]:
    # Tokens are words here, so rows of weights are words already.
    return tuple(data.tokeniser.words(tokens)[0])


def _looked(tested: _Tested, data: CaptioningData, count: int) -> list[Looked]:
    split = tested.split
    captions: Sequence[Caption] = [c for picture in split.pictures for c in picture.captions]
    return [
        Looked(
            picture=split.pictures[place],
            pixels=split.pixels.array[place],
            grid=data.grid,
            words=_words(data, written.tokens),
            written=written,
            reference=captions[split.shown[place]],
            read=read,
        )
        for place, (written, read) in enumerate(
            zip(tested.decoding.written[:count], tested.decoding.read[:count], strict=True)
        )
        if written.weights is not None
    ]
