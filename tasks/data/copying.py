"""Which words of a source may be copied into its target (See 2017, section 2.2)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from tasks.data.batching import Copies
from tasks.data.tokenizer import Tokenizer
from tasks.data.vocabulary import UNK


class CopyWords:
    """Words of sources in the ids of the target vocabulary; where it lacks them, in ids that a
    batch counts on from its size. Tokens are compared as they are spelt, subwords as words.

    Args:
        source, target: the tokenizers of both sides, one twice if they are joint.
        sources, targets: the texts of a split. Only those with unknown words are ever read.
    """

    def __init__(
        self, source: Tokenizer, target: Tokenizer, sources: Sequence[str], targets: Sequence[str]
    ) -> None:
        self._source, self._target = source, target
        self._sources, self._targets = sources, targets
        named = range(UNK + 1, target.size)
        self._ids = dict(zip(target.tokens(named), named, strict=True))
        self._spelt = [""] * UNK + source.tokens(range(UNK, source.size))
        #: The target's id of every source token; -1 where it has none, or where it is unknown.
        self._table = np.array([self._ids.get(token, -1) for token in self._spelt], np.int64)
        self._table[:UNK] = np.arange(UNK)  # padding, begin and end are the same on both sides

    def batch(self, indices: np.ndarray, source: np.ndarray, outputs: np.ndarray) -> Copies:
        """What may be copied in a batch.

        Args:
            indices: B places in the split.
            source: B,S source tokens.
            outputs: B,T target tokens.
        """
        words = self._table[source]  # B,S
        outputs = outputs.copy()
        further: dict[str, int] = {}
        for row in np.flatnonzero((words < 0).any(axis=1)):
            unknown = iter(self._source.unknown(self._sources[int(indices[row])]))
            own: dict[str, int] = {}
            for place in np.flatnonzero(words[row] < 0):
                number = source[row, place]
                token = next(unknown) if number == UNK else self._spelt[number]
                found = self._ids.get(token)
                if found is None:
                    found = own[token] = further.setdefault(token, self._target.size + len(further))
                words[row, place] = found
            missing = np.flatnonzero(outputs[row] == UNK)
            if own and len(missing):
                tokens = self._target.unknown(self._targets[int(indices[row])])
                outputs[row, missing] = [own.get(token, UNK) for token in tokens]
        return Copies(torch.from_numpy(words), torch.from_numpy(outputs), tuple(further))
