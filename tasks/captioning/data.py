"""Captioning data made ready: pixels or features in one array, captions tokenised, both cached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bench.errors import UsageError
from bench.models.image_encoder import grid_of
from tasks.base import Paths, TaskData
from tasks.captioning.alignment import gold_weights
from tasks.captioning.baselines import CaptionBaselines, baselines
from tasks.captioning.datasets import CaptionCorpus, Picture
from tasks.captioning.encoders import FROM_SCRATCH
from tasks.captioning.features import Features, PictureFeatures, Projection
from tasks.captioning.pictures import Ranges
from tasks.captioning.pixels import Pixels, pixels, ranges_of, read_pixels
from tasks.captioning.settings import CaptioningSettings
from tasks.data.batching import Batch, BucketBatches, Stream, StreamModule
from tasks.data.cache import digest
from tasks.data.texts import EncodedTexts, encode
from tasks.data.tokenizer import Tokenizer
from tasks.evaluation.alignment import require_gold


@dataclass(frozen=True)
class CaptionBatch(Batch):
    """B captions of P pictures, each of which is encoded once: `source` is P,H,W,3 uint8, or
    P,L,K float16 where a pretrained network has seen them; `source_mask` is P,L.

    Attributes:
        owner: B int64, the picture of each caption, as its place in `source`.
        words: P,V share of each picture's captions that use each word, or None.
    """

    owner: Tensor = field(kw_only=True)
    words: Tensor | None = None


@dataclass(frozen=True)
class CaptionOrder:
    """Batches of captions for training, without end.

    Pictures with captions of similar length come together; of each, `captions` are drawn.

    Attributes:
        first: N+1, number of each picture's first caption; captions are numbered through.
        lengths: target units of every caption.
        batch_tokens: most units of a batch, padding counted.
        seed: with the batch's number it decides what is drawn.
    """

    first: np.ndarray
    lengths: np.ndarray
    captions: int
    batch_tokens: int
    seed: int

    def __iter__(self) -> Iterator[np.ndarray]:
        """Numbers of captions, those of a picture side by side."""
        counts = np.minimum(np.diff(self.first), self.captions)
        longest = np.maximum.reduceat(self.lengths, self.first[:-1])
        pictures = BucketBatches(longest * counts, self.batch_tokens, self.seed)
        for number, batch in enumerate(pictures):
            yield self._drawn(batch, np.random.default_rng([self.seed, number]))

    def _drawn(self, pictures: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        counts = np.diff(self.first)[pictures]  # P
        keys = rng.random((len(pictures), int(counts.max())))
        keys[np.arange(keys.shape[1]) >= counts[:, None]] = np.inf
        drawn = keys.argsort(axis=1)[:, : self.captions]  # P,K
        return (self.first[pictures][:, None] + drawn)[drawn < counts[:, None]]


def caption_texts(pictures: Sequence[Picture]) -> list[str]:
    """The captions of some pictures, numbered through."""
    return [text for picture in pictures for text in picture.references]


@dataclass(frozen=True)
class Split:
    """Pictures with what the model reads of them, and captions.

    Attributes:
        inputs: pixels, or features where a pretrained network has seen the pictures.
        captions: of all pictures, numbered through.
        first: N+1, number of each picture's first caption.
        shown: N, number of the caption with the most phrases of each picture, the first of them:
            what is read where one caption stands for a picture.
        cells: L, cells of the grid.
        words: V, size of the vocabulary where batches shall say which words the captions of a
            picture use; 0 elsewhere.
        gold: rows and columns of the grid where batches shall hold the boxes of phrases as weights
            of the words; None elsewhere.
    """

    pictures: Sequence[Picture]
    inputs: Pixels | Features
    captions: EncodedTexts
    first: np.ndarray
    shown: np.ndarray
    cells: int
    words: int = 0
    gold: tuple[int, int] | None = None

    def __len__(self) -> int:
        return len(self.pictures)

    @cached_property
    def owner(self) -> np.ndarray:
        """The picture of every caption."""
        return np.repeat(np.arange(len(self)), np.diff(self.first))

    def batch(self, captions: np.ndarray) -> CaptionBatch:
        """These captions with their pictures. Captions of a picture must lie side by side."""
        owners = self.owner[captions]
        fresh = np.diff(owners, prepend=-1) != 0
        pictures = owners[fresh]  # P
        inputs = self.captions.batch(captions, begin=True)
        outputs = self.captions.batch(captions, end=True)
        return CaptionBatch(
            index=torch.from_numpy(captions),
            source=torch.from_numpy(self.inputs.array[pictures]),
            source_mask=torch.ones(len(pictures), self.cells, dtype=torch.bool),
            inputs=torch.from_numpy(inputs.values),
            outputs=torch.from_numpy(outputs.values),
            units=int(outputs.lengths.sum()),
            owner=torch.from_numpy(np.cumsum(fresh) - 1),
            words=torch.from_numpy(self._word_shares(pictures)) if self.words else None,
            gold=self._gold(captions, self.gold, outputs.values.shape[1]) if self.gold else None,
        )

    def _gold(self, captions: np.ndarray, grid: tuple[int, int], length: int) -> Tensor:
        """B,T,L: the gold weights of the words of some captions over the cells."""
        owners = self.owner[captions]
        places = zip(owners.tolist(), (captions - self.first[owners]).tolist(), strict=True)
        chosen = [self.pictures[picture].captions[place] for picture, place in places]
        return torch.from_numpy(gold_weights(chosen, length, grid))

    def _word_shares(self, pictures: np.ndarray) -> np.ndarray:
        """P,V float32: the share of each picture's captions that use each word."""
        counts = np.diff(self.first)[pictures]  # P
        starts = np.cumsum(counts) - counts
        rows = np.arange(counts.sum())
        found = self.captions.batch(np.repeat(self.first[pictures] - starts, counts) + rows)
        used = np.zeros((len(rows), self.words), dtype=np.float32)  # captions,V
        used[rows[:, None], found.values] = 1.0
        shares: np.ndarray = np.add.reduceat(used, starts, axis=0) / counts[:, None]
        return shares.astype(np.float32)

    def one_each(self, pictures: np.ndarray) -> CaptionBatch:
        """These pictures with one caption of each; `index` counts pictures."""
        return replace(self.batch(self.shown[pictures]), index=torch.from_numpy(pictures))

    def by_picture(self, size: int) -> Stream:
        """Every picture once, `size` a batch, with one caption."""
        return Stream(self.one_each, np.split(np.arange(len(self)), range(size, len(self), size)))

    def by_caption(self, size: int) -> Stream:
        """Every caption once, those of `size` pictures a batch."""
        numbers = np.arange(len(self.captions))
        return Stream(self.batch, np.split(numbers, self.first[size : len(self) : size]))


@dataclass(frozen=True)
class CaptioningData(TaskData):
    """Everything a trial needs of its corpus.

    Attributes:
        cache: folder for what all trials share.
        grid: rows and columns of annotation vectors.
        ranges: the grey levels that are black and white in pictures that are not 8-bit.
        seen_by: names the pretrained network that has seen the pictures; empty without.
        projection: the components of its features; None without.
    """

    corpus: CaptionCorpus
    tokenizer: Tokenizer
    train: Split
    validation: Split
    tests: Mapping[str, Split]
    cache: Path
    grid: tuple[int, int]
    settings: CaptioningSettings
    ranges: Ranges
    seen_by: str = ""
    projection: Projection | None = None

    @property
    def channels(self) -> int:
        """Components of each cell where a pretrained network has seen the pictures; else 0."""
        return self.train.inputs.array.shape[-1] if self.seen_by else 0

    @property
    def picture_size(self) -> int:
        """Pixels along a side of the pictures that a network trained from scratch reads."""
        return self.corpus.size

    @property
    def notes(self) -> Sequence[str]:
        return (*super().notes, *filter(None, [self.seen_by]))

    def shown(self, subset: str, count: int) -> np.ndarray:
        """The first pictures of a test set for a reader to look at, uint8 RGB."""
        pictures = self.tests[subset].pictures[:count]
        return read_pixels(pictures, self.corpus.size, self.ranges)[0]

    @property
    def preparation(self) -> str:  # type: ignore[override]
        splits = [self.train, self.validation, *self.tests.values()]
        return digest(self.tokenizer.fingerprint, [split.inputs.fingerprint for split in splits])

    @cached_property
    def baselines(self) -> Mapping[str, CaptionBaselines]:
        """Figures of the baselines, made when testing first asks for them."""
        return baselines(self.corpus, self.cache)

    @property
    def length_ratio(self) -> float:
        """Cells over the mean length of a training caption, end tokens counted."""
        return float(self.train.cells / (self.train.captions.lengths + 1).mean())

    def datamodule(self, seed: int) -> StreamModule:
        settings = self.settings
        order = CaptionOrder(
            self.train.first,
            self.train.captions.lengths + 1,
            settings.captions_each,
            settings.batch_tokens,
            seed,
        )
        return StreamModule(
            Stream(self.train.batch, order), self.validation.by_picture(settings.eval_pictures)
        )


def prepare(corpus: CaptionCorpus, settings: CaptioningSettings, paths: Paths) -> CaptioningData:
    """Bring the pictures to one size or let a pretrained network see them, learn the words of the
    training captions, encode them.

    Raises UsageError: pictures that cannot be read, a size that cells do not divide, a network that
    is not installed, a cache that cannot be written.
    """
    pretrained = settings.features != FROM_SCRATCH
    gold = settings.gold_attention != "none"
    if gold:
        require_gold(any(one.phrases for picture in corpus.train for one in picture.captions))
        if not pretrained and (settings.crop or settings.flip):
            raise UsageError(
                "boxes do not move with pictures that are cropped or mirrored at random",
                where="--set gold_attention",
                remedy="add --set crop=0 --set flip=0",
            )
    ranges = ranges_of(corpus, paths.cache)
    network = None
    if pretrained:
        network = PictureFeatures(settings, corpus.train, paths.cache, ranges)
    grid = network.grid if network else grid_of(corpus.size, settings.stem, settings.stages)
    tokenizer = Tokenizer.train(
        caption_texts(corpus.train), kind="word", size=settings.vocab_size, cache=paths.cache
    )

    def split(pictures: Sequence[Picture], words: int = 0) -> Split:
        counts = np.array([len(picture.captions) for picture in pictures])
        first = np.concatenate([[0], np.cumsum(counts)])
        return Split(
            pictures,
            network.of(pictures) if network else pixels(pictures, corpus.size, paths.cache, ranges),
            encode(caption_texts(pictures), tokenizer, paths.cache),
            first,
            first[:-1]
            + [np.argmax([len(one.phrases) for one in picture.captions]) for picture in pictures],
            grid[0] * grid[1],
            words,
            grid if gold else None,
        )

    return CaptioningData(
        corpus=corpus,
        tokenizer=tokenizer,
        train=split(corpus.train, tokenizer.size if settings.words_weight else 0),
        validation=split(corpus.validation),
        tests={name: split(pictures) for name, pictures in corpus.tests.items()},
        cache=paths.cache,
        grid=grid,
        settings=settings,
        ranges=ranges,
        seen_by=network.description if network else "",
        projection=network.projection if network else None,
    )
