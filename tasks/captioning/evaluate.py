"""Scoring of captions, and the test of a trained captioning model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, islice
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from bench.store.result import Alignment, Trace
from tasks.base import Evaluation
from tasks.captioning.alignment import agreement, baseline_figures, forced_case, free_case, traces
from tasks.captioning.data import CaptioningData, Split
from tasks.captioning.metrics import score, signature
from tasks.captioning.model import CaptioningModule
from tasks.data.batching import Batch
from tasks.data.unicode import composed
from tasks.evaluation.alignment import weights_notes
from tasks.evaluation.bootstrap import ratio
from tasks.evaluation.decode import Decoding, LengthLimit, Read, decode, read_references
from tasks.evaluation.scoring import (
    Outputs,
    Prediction,
    Reference,
    Scorer,
    Scores,
    prefixed,
    score_outputs,
    with_perplexity,
)

#: Figures of the baselines that are kept, by baseline.
_BASELINE_FIGURES = ("cider", "bleu_4")


@dataclass(frozen=True)
class CaptionScorer(Scorer[CaptioningData]):
    """CIDEr, BLEU, ROUGE-L against all sentences that people wrote of a picture.

    Perplexity is over all references of a picture, and predictions have the likelihood of one.

    Attributes:
        with_meteor: METEOR as well, which needs Java.
    """

    model_metrics: ClassVar[frozenset[str]] = frozenset({"perplexity", "meteor"})

    with_meteor: bool = False

    def references(self, data: CaptioningData) -> Mapping[str, Sequence[Reference]]:
        return {
            subset: [
                Reference(picture.id, picture.id, picture.references, picture.length)
                for picture in split.pictures
            ]
            for subset, split in data.tests.items()
        }

    def score(self, data: CaptioningData, subset: str, outputs: Outputs) -> Scores:
        references = [picture.references for picture in data.tests[subset].pictures]
        found = score(outputs.texts, references, with_meteor=self.with_meteor)
        texts = map(composed, outputs.texts)
        right = [text in known for text, known in zip(texts, references, strict=True)]
        extra = [
            {"bleu": counts, "rouge_l": round(rouge, 4)}
            for counts, rouge in zip(found.bleu.tolist(), found.rouge_l.tolist(), strict=True)
        ]
        return Scores(
            name="cider",
            interval=found.cider_interval(),
            metrics={**found.metrics(), "exact": float(np.mean(right))},
            statistics=found.cider_statistics,
            figure=ratio,
            examples=found.cider,
            extra=extra,
            signatures={"captions": signature(chain.from_iterable(references))},
            notes=found.notes,
        )

    def baselines(self, data: CaptioningData) -> Mapping[str, float]:
        """Figures of captions that know nothing of the picture, and of people's own."""
        found: dict[str, dict[str, float]] = {}
        for subset in data.tests:
            held = asdict(data.baselines[subset])
            found[subset] = {
                f"baseline_{kind}_{name}": held[kind][name]
                for kind in ("constant", "shuffled", "human")
                for name in _BASELINE_FIGURES
                if name in held[kind]
            }
        return prefixed(found)

    def contradictions(self, prediction: Prediction, scores: Scores, place: int) -> Iterator[str]:
        counts, rouge = scores.extra[place]["bleu"], scores.extra[place]["rouge_l"]
        if list(prediction.extra.get("bleu") or ()) != counts:
            yield "its counts for BLEU are not those of its caption"
        stated = prediction.extra.get("rouge_l")
        if not isinstance(stated, int | float) or abs(stated - rouge) > 1e-4:
            yield f"its ROUGE-L is {rouge:.4f}, not {stated}"


@dataclass(frozen=True)
class _Tested:
    """One test set decoded.

    Attributes:
        decoding: what was written for every picture, and how one reference of it was read.
        references: how every reference was read.
    """

    split: Split
    decoding: Decoding
    references: list[Read]

    @property
    def perplexity(self) -> dict[str, float]:
        """Over all references."""
        units = sum(one.units for one in self.references)
        return with_perplexity({}, [one.nll for one in self.references], units)


def evaluate(module: CaptioningModule, data: CaptioningData) -> Evaluation:
    """Test on every test set; the first one gives the headline figure."""
    tested = {name: _test(module, split) for name, split in data.tests.items()}
    outputs = {name: _outputs(one, data) for name, one in tested.items()}
    scores = score_outputs(CaptionScorer(module.settings.meteor), data, outputs)
    perplexities = prefixed({name: one.perplexity for name, one in tested.items()})
    return Evaluation(
        metrics={**scores.metrics, **perplexities},
        primary=scores.primary,
        predictions=scores.predictions,
        traces=[
            trace
            for name, one in tested.items()
            for trace in _traces(one, data, name, module.settings.num_traces)
        ],
        by_length=scores.by_length,
        alignment=_alignment(next(iter(tested.values())), data),
        signatures=scores.signatures,
        notes=(*scores.notes, *weights_notes(module.decoder.weights_kind)),
        decoded=sum(map(len, data.tests.values())),
        decode_seconds=sum(one.decoding.seconds for one in tested.values()),
    )


def length_limit(longest: int) -> LengthLimit:
    """Captions of at most so many words."""

    def limit(batch: Batch) -> Tensor:
        return torch.full_like(batch.index, longest)

    return limit


def _test(module: CaptioningModule, split: Split) -> _Tested:
    settings = module.settings

    decoding = decode(
        module,
        split.by_picture(settings.eval_pictures),
        length_limit(settings.max_length),
        keep_parts=settings.num_traces,
        device=module.device.type,
    )
    references = read_references(module, split.by_caption(settings.eval_pictures))
    return _Tested(split, decoding, references)


def _outputs(tested: _Tested, data: CaptioningData) -> Outputs:
    decoding = tested.decoding
    return Outputs(
        texts=data.tokenizer.decode_batch(one.tokens for one in decoding.written),
        extra=[
            {"nll": round(read.nll, 4), "log_prob": round(written.score, 4)}
            for written, read in zip(decoding.written, decoding.read, strict=True)
        ],
    )


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
        baselines=baseline_figures(groups, data.grid),
    )


def _words(data: CaptioningData, tokens: np.ndarray) -> tuple[str, ...]:
    # Tokens are words here, so rows of weights are words already.
    return tuple(data.tokenizer.words(tokens)[0])


def _traces(tested: _Tested, data: CaptioningData, subset: str, count: int) -> Iterator[Trace]:
    """The traces of the first pictures of a test set; none where the model has no weights."""
    split, decoding = tested.split, tested.decoding
    captions = [caption for picture in split.pictures for caption in picture.captions]
    rows = zip(split.pictures, decoding.written, decoding.read, strict=True)
    pixels = data.shown(subset, count)
    for place, (picture, written, read) in enumerate(islice(rows, count)):
        if written.weights is not None:
            yield from traces(
                picture,
                pixels[place],
                data.grid,
                subset,
                (_words(data, written.tokens), written),
                (captions[split.shown[place]], read),
            )
