"""Which words of a source are copied into a target, against a comparison word by word."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tasks.data.copying import CopyWords
from tasks.data.tokenizer import Tokenizer
from tasks.data.vocabulary import EOS, PAD, UNK

SOURCES = ["zog bought a mill .", "the mill of quux and zog", "a b c", "ζog bought blip"]
TARGETS = ["zog buys mill", "quux blip zog", "a mill", "blip buys ζog"]
KNOWN = (["the mill of a bought and ."] * 3, ["buys mill a ."] * 3)


def padded(rows: list[list[int]]) -> np.ndarray:
    width = max(map(len, rows)) + 1
    return np.array([[*row, EOS, *[PAD] * (width - 1 - len(row))] for row in rows])


@pytest.mark.parametrize("kind", ["word", "bpe"])
@pytest.mark.parametrize("joint", [False, True])
def test_words_that_the_vocabulary_lacks_can_be_copied(kind: Any, joint: bool) -> None:
    learned = KNOWN[0] + KNOWN[1] if joint else KNOWN[0]
    source = Tokenizer.train(learned, kind=kind, size=20)
    target = source if joint else Tokenizer.train(KNOWN[1], kind=kind, size=20)
    copying = CopyWords(source, target, SOURCES, TARGETS)
    indices = np.array([3, 0, 1])
    read = padded([source.encode_batch([SOURCES[i]])[0] for i in indices])
    outputs = padded([target.encode_batch([TARGETS[i]])[0] for i in indices])
    found = copying.batch(indices, read, outputs)
    assert not (found.source == UNK).any()
    assert len(set(found.words)) == len(found.words)
    for row, index in enumerate(indices):
        tokens = [*found.source[row].tolist()]
        length = tokens.index(EOS)
        # What is spelt stays what it was: copying a whole source gives its text.
        assert target.decode(tokens[:length], found.words) == SOURCES[index]
        labels = found.outputs[row].tolist()
        for place, label in enumerate(labels):
            if label >= target.size:
                assert label in tokens
            else:
                assert label == outputs[row, place]
    assert torch.equal(found.to("cpu").source, found.source)
    if kind == "word":
        shown = [target.decode(labels.tolist(), found.words) for labels in found.outputs]
        assert shown == ["blip buys ζog", "zog buys mill", "quux <unk> zog"]
        # Words are read as words, known or not.
        spelt, word_of = target.words(found.outputs[1].tolist(), found.words)
        assert spelt == ("zog", "buys", "mill") and word_of[:3].tolist() == [0, 1, 2]
