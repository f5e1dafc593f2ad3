"""Texts made ready: tokenised once, cached by fingerprint; pairs of them batched by length."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from operator import attrgetter
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, overload

import numpy as np
import torch

from bench.errors import UsageError
from tasks.base import Corpus, TaskData
from tasks.data.batching import Batch, BucketBatches, Stream, StreamModule, sorted_batches
from tasks.data.cache import (
    Padded,
    RaggedArray,
    cached,
    digest,
    digest_texts,
    read_table,
    write_blocks,
)
from tasks.data.copying import CopyWords
from tasks.data.tokenizer import Tokenizer
from tasks.data.vocabulary import BOS, EOS, PAD, Segmented
from tasks.evaluation.alignment import Links, gold_weights, require_gold
from tasks.settings import TextSettings

ExampleT = TypeVar("ExampleT")
Baselines = Callable[[], Mapping[str, float]]

# Texts encoded and written at once.
ROWS = 1 << 16
# Raised when the same tokeniser and texts would give another file than before.
VERSION = 2


@dataclass(frozen=True)
class Texts(Sequence[str]):
    """One text of every item; none is kept.

    Attributes:
        side: the attribute of an item that is its text ("source_text", ...).
    """

    items: Sequence[Any]
    side: str

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[str]:
        return map(attrgetter(self.side), self.items)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Texts: ...
    def __getitem__(self, index: int | slice) -> str | Texts:
        if isinstance(index, slice):
            return Texts(self.items[index], self.side)
        text: str = getattr(self.items[index], self.side)
        return text


class TextEncoder(Protocol):
    """Whatever cuts texts into token ids (`Tokenizer`, `Vocabulary`)."""

    @property
    def fingerprint(self) -> str:
        """Digest of all that decides how texts are encoded."""

    def segment_batch(self, texts: Iterable[str]) -> list[Segmented]:
        """Token ids with the word of each token."""


@dataclass(frozen=True)
class PaddedTexts(Padded):
    """A batch of texts: `values` are B,T int64 token ids, PAD after the end; `lengths` count begin
    and end where they were asked for.

    Attributes:
        segments: B,T int64, the segment of every token, 0 where padding; None where texts have no
            segments. The begin token counts to the first segment, the end token to the last.
    """

    segments: np.ndarray | None = None


@dataclass(frozen=True)
class EncodedTexts:
    """One side of a corpus as token ids, without begin and end.

    Attributes:
        ids: the tokens of each text.
        word_of: the word of every token, from 0; None where nobody asks for words.
        segment_of: the segment of every token; None where texts have no segments.
        fingerprint: digest of the texts, their order and the tokeniser.
    """

    ids: RaggedArray
    word_of: RaggedArray | None = None
    segment_of: RaggedArray | None = None
    fingerprint: str = ""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> np.ndarray:
        """N int64, tokens of each text."""
        return self.ids.lengths

    def tokens(self, index: int) -> np.ndarray:
        """T token ids of one text."""
        return self.ids[index]

    def words(self, index: int) -> np.ndarray:
        """T, the word of each token of one text."""
        assert self.word_of is not None
        return self.word_of[index]

    def word_batch(self, indices: np.ndarray) -> np.ndarray:
        """B,T int64: the word of each token of texts followed by an end, -1 there and after it."""
        assert self.word_of is not None
        found = self.word_of.gather(indices, dtype=np.int64, filling=-1)
        return np.pad(found.values, ((0, 0), (0, 1)), constant_values=-1)

    def batch(self, indices: np.ndarray, *, begin: bool = False, end: bool = False) -> PaddedTexts:
        """Gather texts into one padded array.

        Args:
            indices: B places in the corpus.
            begin, end: whether BOS goes before each text and EOS after it.
        """
        found = self.ids.gather(indices, dtype=np.int64, filling=PAD)
        frame = ((0, 0), (int(begin), int(end)))
        tokens = np.pad(found.values, frame, constant_values=PAD)
        every, last = np.arange(len(tokens)), begin + found.lengths
        if begin:
            tokens[:, 0] = BOS
        if end:
            tokens[every, last] = EOS
        segments = None
        if self.segment_of is not None:
            gathered = self.segment_of.gather(indices, dtype=np.int64)
            segments = np.pad(gathered.values, frame)
            if end:
                segments[every, last] = segments[every, np.maximum(last - 1, 0)]
        return PaddedTexts(tokens, found.lengths + begin + end, segments)


def encode(
    texts: Sequence[str],
    encoder: TextEncoder,
    cache: Path,
    *,
    segments: Iterable[Sequence[int]] | None = None,
) -> EncodedTexts:
    """Encode texts once and keep them in the cache; equal requests find them ready.

    Args:
        texts: read twice, never held as a whole.
        segments: for every text the segment of each of its words, from 0 and never falling; gone
            through twice.

    Raises:
        UsageError: the cache cannot be written.
    """
    parts = ["encoded", VERSION, encoder.fingerprint, digest_texts(texts)]
    if segments is not None:
        parts.append(digest_texts(map(repr, segments)))
    import pyarrow as pa

    key = digest(*parts)
    names = ["tokens", "words"] + ([] if segments is None else ["segments"])
    path = cached(
        cache / "encoded",
        key,
        lambda target: write_blocks(
            target,
            dict.fromkeys(names, pa.large_list(pa.int32())),
            _encoded_blocks(texts, encoder, segments or ()),
        ),
        suffix=".arrow",
    )
    table = read_table(path)
    columns = {name: RaggedArray.of_column(table.column(name)) for name in table.column_names}
    return EncodedTexts(columns["tokens"], columns["words"], columns.get("segments"), key)


def encode_few(
    texts: Sequence[str], encoder: TextEncoder, *, segments: Iterable[Sequence[int]] | None = None
) -> EncodedTexts:
    """Encode a few texts as `encode` does, in memory."""
    [block] = _encoded_blocks(texts, encoder, segments or ())
    columns = {name: RaggedArray.of(rows) for name, rows in block.items() if rows}
    return EncodedTexts(columns["tokens"], columns["words"], columns.get("segments"))


def _encoded_blocks(
    texts: Iterable[str], encoder: TextEncoder, segments: Iterable[Sequence[int]]
) -> Iterator[dict[str, list[Any]]]:
    remaining, numbers = iter(texts), iter(segments)
    while block := list(islice(remaining, ROWS)):
        segmented = encoder.segment_batch(block)
        yield {
            "tokens": [one.ids for one in segmented],
            "words": [one.words for one in segmented],
            # Every token has the segment of its word.
            "segments": [
                np.asarray(of_words, np.int32)[np.asarray(one.words, np.int64)]
                for of_words, one in zip(islice(numbers, len(block)), segmented, strict=False)
            ],
        }


@dataclass(frozen=True)
class SplitTexts(Generic[ExampleT]):
    """The texts of a split: N of each side.

    Attributes:
        examples: what the texts are made of.
        source, target: gone through several times, never held as a whole.
        segments: for every source the segment of each of its words; None if it has none.
    """

    examples: Sequence[ExampleT]
    source: Sequence[str]
    target: Sequence[str]
    segments: Iterable[Sequence[int]] | None = None


@dataclass(frozen=True)
class Split(Generic[ExampleT]):
    """Examples with their tokens. Sources end with EOS, targets are framed by BOS and EOS.

    Attributes:
        copying: tells which words may be copied, for models with a pointer; else None.
        gold: whether batches hold the examples' links (`links`, of words) as weights.
    """

    examples: Sequence[ExampleT]
    source: EncodedTexts
    target: EncodedTexts
    copying: CopyWords | None = None
    gold: bool = False

    def __len__(self) -> int:
        return len(self.source)

    def batch(self, indices: np.ndarray) -> Batch:
        """The examples at these places, padded."""
        source = self.source.batch(indices, end=True)
        inputs = self.target.batch(indices, begin=True)
        outputs = self.target.batch(indices, end=True)
        copies = None
        if self.copying is not None:
            copies = self.copying.batch(indices, source.values, outputs.values)
        return Batch(
            index=torch.from_numpy(np.ascontiguousarray(indices)),
            source=torch.from_numpy(source.values),
            source_mask=torch.from_numpy(source.mask),
            inputs=torch.from_numpy(inputs.values),
            outputs=torch.from_numpy(outputs.values),
            segments=None if source.segments is None else torch.from_numpy(source.segments),
            units=int(outputs.lengths.sum()),
            copies=copies,
            gold=torch.from_numpy(self._gold(indices)) if self.gold else None,
        )

    def _gold(self, indices: np.ndarray) -> np.ndarray:
        """B,T,S float32: the gold weights of the outputs over the source, ends without any."""
        links = [_links(self.examples[index]) for index in indices.tolist()]
        return gold_weights(links, self.target.word_batch(indices), self.source.word_batch(indices))

    def in_order_of_length(self, units: int) -> Stream:
        """All examples once, shortest sources first, `units` padded source tokens a batch."""
        return Stream(self.batch, sorted_batches(self.source.lengths + 1, units))


class ModelTexts(Protocol):
    """What a model is built by: the tokenizers of both sides, and how their lengths compare."""

    @property
    def source_tokenizer(self) -> Tokenizer: ...
    @property
    def target_tokenizer(self) -> Tokenizer: ...
    @property
    def length_ratio(self) -> float: ...


@dataclass(frozen=True)
class TextData(TaskData, Generic[ExampleT]):
    """Everything a trial needs of its corpus.

    Attributes:
        sure: whether gold links are sure or possible only (`tasks.evaluation.alignment`).
        baselines: gives figures of baselines that need no model, by name. Called where a trial is
            tested, since they may take seconds.
    """

    corpus: Corpus[Any]
    source_tokenizer: Tokenizer
    target_tokenizer: Tokenizer
    train: Split[ExampleT]
    validation: Split[ExampleT]
    tests: Mapping[str, Split[ExampleT]]
    settings: TextSettings
    sure: bool = True
    baselines: Baselines = dict

    @property
    def preparation(self) -> str:  # type: ignore[override]
        return digest(self.source_tokenizer.fingerprint, self.target_tokenizer.fingerprint)

    @property
    def length_ratio(self) -> float:
        """Mean source length over mean target length, end tokens counted."""
        source, target = self.train.source.lengths + 1, self.train.target.lengths + 1
        return float(source.mean() / target.mean())

    def datamodule(self, seed: int) -> StreamModule:
        batch_tokens, source_tokens = self.settings.batch_tokens, self.settings.batch_source_tokens
        lengths = self.train.target.lengths + 1
        if source_tokens:
            # Sources count instead where they fill a larger share of `batch_source_tokens`.
            share = (self.train.source.lengths + 1) * batch_tokens / source_tokens
            lengths = np.maximum(lengths, np.ceil(share).astype(np.int64))
        train = BucketBatches(lengths, batch_tokens, seed, ties=self.train.source.lengths)
        return StreamModule(
            Stream(self.train.batch, train),
            self.validation.in_order_of_length(self.settings.eval_batch_tokens),
        )


def prepare_texts(
    corpus: Corpus[Any],
    texts: Callable[[Sequence[Any]], SplitTexts[ExampleT]],
    settings: TextSettings,
    cache: Path,
    *,
    sure: bool = True,
    baselines: Baselines = dict,
) -> TextData[ExampleT]:
    """Learn the tokenisers from the training split, encode every split.

    Args:
        texts: the texts of the examples of a split.
        sure, baselines: as in `TextData`.

    Raises UsageError where the settings do not fit together or the cache cannot be written.
    """
    if settings.tokenizer == "bpe" and not settings.vocab_size:
        raise UsageError(
            "tokenizer=bpe needs the size of its vocabulary",
            where="--set",
            remedy="add --set vocab_size=5000",
        )
    train = texts(corpus.train)
    gold = settings.gold_attention != "none"
    if gold:
        require_gold(any(map(_links, train.examples)))

    def learn(texts: Iterable[str]) -> Tokenizer:
        return Tokenizer.train(
            texts, kind=settings.tokenizer, size=settings.vocab_size, cache=cache
        )

    if settings.joint_vocab:
        source = target = learn(_Both(train.source, train.target))
    else:
        source, target = learn(train.source), learn(train.target)

    def split(part: SplitTexts[ExampleT]) -> Split[ExampleT]:
        return Split(
            part.examples,
            encode(part.source, source, cache, segments=part.segments),
            encode(part.target, target, cache),
            CopyWords(source, target, part.source, part.target)
            if settings.copying != "none"
            else None,
            gold=gold,
        )

    return TextData(
        corpus=corpus,
        source_tokenizer=source,
        target_tokenizer=target,
        train=split(train),
        validation=split(texts(corpus.validation)),
        tests={name: split(texts(examples)) for name, examples in corpus.tests.items()},
        settings=settings,
        sure=sure,
        baselines=baselines,
    )


def _links(example: Any) -> Links | None:
    """The links of an example's words, where it has any."""
    links: Links | None = example.links
    return links


@dataclass(frozen=True)
class _Both:
    """The texts of both sides, as often as they are gone through."""

    source: Iterable[str]
    target: Iterable[str]

    def __iter__(self) -> chain[str]:
        return chain(self.source, self.target)
