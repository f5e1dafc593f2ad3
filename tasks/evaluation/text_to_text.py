"""Evaluation of tasks that turn text into text: their scorer, and the test of a trained model."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Generic, TypeVar

from torch import Tensor

from tasks.base import Evaluation
from tasks.data.text_pairs import TextData
from tasks.evaluation.alignment_text import WordPair, alignment, attended, traces
from tasks.evaluation.decode import Decoding, decode
from tasks.evaluation.scoring import (
    Outputs,
    Reference,
    Scorer,
    Scores,
    score_outputs,
    with_perplexity,
)
from tasks.training.sequence import Batch, GenerationModule

Example = TypeVar("Example")


class TextScorer(Scorer[TextData[Example]], Generic[Example]):
    """A task says how an example is seen as words, and how texts are scored."""

    @abstractmethod
    def word_pair(self, example: Example) -> WordPair:
        """An example as words."""

    @abstractmethod
    def score_texts(self, texts: Sequence[str], pairs: Sequence[WordPair]) -> Scores:
        """The figures that texts and references give."""

    def pairs(self, data: TextData[Example], subset: str) -> list[WordPair]:
        """The examples of a test set as words."""
        return list(map(self.word_pair, data.tests[subset].examples))

    def references(self, data: TextData[Example]) -> Mapping[str, Sequence[Reference]]:
        return {
            subset: [
                Reference(pair.id, pair.source_text, (pair.target_text,), len(pair.source))
                for pair in self.pairs(data, subset)
            ]
            for subset in data.tests
        }

    def score(self, data: TextData[Example], subset: str, outputs: Outputs) -> Scores:
        scores = self.score_texts(outputs.texts, self.pairs(data, subset))
        units = int((data.tests[subset].target.lengths + 1).sum())
        return replace(scores, metrics=with_perplexity(scores.metrics, outputs.nll, units))

    def baselines(self, data: TextData[Example]) -> Mapping[str, float]:
        return data.baselines()


def evaluate_texts(
    scorer: TextScorer[Example], module: GenerationModule, data: TextData[Example]
) -> Evaluation:
    """Test on every test set; the first one gives the headline figure and the alignment."""
    decoded = {subset: _decode(module, data, subset) for subset in data.tests}
    outputs = {subset: _outputs(one, data) for subset, one in decoded.items()}
    scores = score_outputs(scorer, data, outputs)
    looked = {
        subset: attended(scorer.pairs(data, subset), one, data.tests[subset], data.target_tokenizer)
        for subset, one in decoded.items()
    }
    return Evaluation(
        metrics=scores.metrics,
        primary=scores.primary,
        predictions=scores.predictions,
        traces=[
            trace
            for subset, examples in looked.items()
            for example in examples[: module.settings.num_traces]
            for trace in traces(example, subset)
        ],
        by_length=scores.by_length,
        alignment=alignment(next(iter(looked.values())), sure=data.sure),
        signatures=scores.signatures,
        decoded=sum(map(len, data.tests.values())),
        decode_seconds=sum(one.seconds for one in decoded.values()),
    )


def _decode(module: GenerationModule, data: TextData[Example], subset: str) -> Decoding:
    longest = module.settings.max_length

    def limit(batch: Batch) -> Tensor:
        return (batch.source_mask.sum(dim=1) * 2 + 10).clamp(max=longest)

    return decode(
        module,
        data.tests[subset].in_order_of_length(data.settings.eval_batch_tokens),
        limit,
        keep_parts=module.settings.num_traces,
        device=module.device.type,
    )


def _outputs(decoding: Decoding, data: TextData[Example]) -> Outputs:
    return Outputs(
        texts=data.target_tokenizer.decode_batch(one.tokens for one in decoding.written),
        nll=[one.nll for one in decoding.read],
        extra=[
            {
                "nll": round(read.nll, 4),
                "units": read.units,
                "log_prob": round(written.score, 4),
            }
            for written, read in zip(decoding.written, decoding.read, strict=True)
        ],
    )
