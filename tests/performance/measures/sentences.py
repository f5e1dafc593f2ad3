"""Sentence pairs as word ids: Multi30k de-en, or made-up ones of the same shape.

With ATTNBENCH_DATA_ROOT set to a folder that holds `multi30k/`, words are real: lower case, the
7,855 and 5,917 most frequent, four special tokens. Without, sentences of words drawn by Zipf's law
have about Multi30k's lengths (measured: German words 12.6 +- 4.3, English words 13.1 +- 4.1,
correlation 0.86), which is all that speed depends on.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tasks.data.batching import Batch
from tasks.data.vocabulary import BOS, EOS, PAD, UNK

Pair = tuple[list[int], list[int]]

#: Sizes of the source and target vocabulary, special tokens counted.
VOCABULARY = (7859, 5921)
LANGUAGES = ("de", "en")
SPECIAL = 1 + max(PAD, UNK, BOS, EOS)
MEANS, DEVIATIONS, CORRELATION = (12.6, 13.1), (4.3, 4.1), 0.86
BATCH = 64


def data_root() -> Path | None:
    """The folder that holds `multi30k`, if the environment names one."""
    root = os.environ.get("ATTNBENCH_DATA_ROOT")
    return Path(root) / "multi30k" if root else None


def described() -> str:
    """What the sentences are, for notes."""
    return "made-up sentences" if data_root() is None else "Multi30k de-en"


def pairs() -> tuple[list[Pair], list[Pair]]:
    """Training and test pairs."""
    root = data_root()
    if root is None:
        return _made_up(29_000, seed=1), _made_up(1_000, seed=2)
    training = [_words(root / f"train.{language}") for language in LANGUAGES]
    tables = [_table(side, size) for side, size in zip(training, VOCABULARY, strict=True)]
    test = [_words(root / f"test_2016_flickr.{language}") for language in LANGUAGES]
    return _numbered(training, tables), _numbered(test, tables)


def batches(data: Sequence[Pair]) -> list[Batch]:
    """All pairs, 64 a batch, sorted by length."""
    ordered = sorted(data, key=lambda pair: (len(pair[0]), len(pair[1])))
    return [_batch(ordered[start : start + BATCH]) for start in range(0, len(ordered), BATCH)]


def spread(batches: Sequence[Batch], count: int) -> list[Batch]:
    """So many of them, evenly from the shortest to the longest."""
    step = len(batches) / count
    return [batches[int(step * (number + 0.5))] for number in range(count)]


def _batch(rows: Sequence[Pair]) -> Batch:
    source = _padded([source for source, _ in rows])
    inputs = _padded([[BOS, *target] for _, target in rows])
    outputs = _padded([[*target, EOS] for _, target in rows])
    return Batch(
        index=torch.arange(len(rows)),
        source=source,
        source_mask=source != PAD,
        inputs=inputs,
        outputs=outputs,
        units=sum(len(target) + 1 for _, target in rows),
    )


def _padded(rows: Sequence[Sequence[int]]) -> Tensor:
    padded = torch.full((len(rows), max(map(len, rows))), PAD)
    for place, row in enumerate(rows):
        padded[place, : len(row)] = torch.tensor(row)
    return padded


def _words(path: Path) -> list[list[str]]:
    lines = path.read_text("utf-8").lower().splitlines()
    return [re.findall(r"\w+|[^\w\s]", line) for line in lines]


def _table(sentences: Sequence[Sequence[str]], size: int) -> dict[str, int]:
    counts = Counter(chain.from_iterable(sentences))
    frequent = sorted(counts, key=lambda word: (-counts[word], word))[: size - SPECIAL]
    return {word: place + SPECIAL for place, word in enumerate(frequent)}


def _numbered(
    sides: Sequence[Sequence[Sequence[str]]], tables: Sequence[dict[str, int]]
) -> list[Pair]:
    source, target = tables
    return [
        ([source.get(word, UNK) for word in one], [target.get(word, UNK) for word in other])
        for one, other in zip(*sides, strict=True)
    ]


def _made_up(count: int, seed: int) -> list[Pair]:
    generator = np.random.default_rng(seed)
    first, second = DEVIATIONS
    shared = CORRELATION * first * second
    drawn = generator.multivariate_normal(MEANS, [[first**2, shared], [shared, second**2]], count)
    lengths = drawn.round().astype(int).clip(3, 40)  # N,2
    sides = [
        _zipf(generator, column, size) for column, size in zip(lengths.T, VOCABULARY, strict=True)
    ]
    return list(zip(*sides, strict=True))


def _zipf(generator: np.random.Generator, lengths: np.ndarray, size: int) -> Iterator[list[int]]:
    odds = 1.0 / np.arange(1, size - SPECIAL + 1)
    words = generator.choice(len(odds), size=int(lengths.sum()), p=odds / odds.sum()) + SPECIAL
    for part in np.split(words, lengths.cumsum()[:-1]):
        yield part.tolist()
