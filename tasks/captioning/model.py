"""The Lightning module of captioning: a picture is encoded once for all its captions."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.attention.base import AttentionOptions, Memory
from bench.models.base import Decoder, Encoder, select_rows
from bench.models.heads import VocabularyHead
from tasks.captioning.data import CaptionBatch
from tasks.captioning.images import augmented
from tasks.captioning.settings import CaptioningSettings
from tasks.data.arrow import EncodedTexts
from tasks.data.vocabulary import PAD, UNK
from tasks.training.sequence import Batch, GenerationModule

# How often captions use each word: where output layers start, so that no step is spent on it.

# Counted once more than they occur, so that no logarithm is infinite.
_EXTRA = 0.5


@dataclass(frozen=True)
class Frequencies:
    """Of the training captions.

    Attributes:
        uses: V, occurrences of every token, end tokens counted.
        captions: V, captions that use it.
        total: number of captions.
    """

    uses: np.ndarray
    captions: np.ndarray
    total: int

    @classmethod
    def of(cls, captions: EncodedTexts, size: int) -> Frequencies:
        """Of these captions, in a vocabulary of `size` tokens."""
        tokens = captions.batch(np.arange(len(captions)), end=True).values  # N,T
        uses = np.bincount(tokens[tokens != PAD], minlength=size)
        different = np.sort(tokens, axis=1)
        first = np.diff(different, axis=1, prepend=-1) != 0
        used = np.bincount(different[first & (different != PAD)], minlength=size)
        return cls(uses, used, len(captions))

    def log_shares(self) -> Tensor:
        """V: log of each token's share of all occurrences."""
        counts = self.uses + _EXTRA
        return torch.from_numpy(np.log(counts / counts.sum())).float()

    def log_odds(self) -> Tensor:
        """V: log-odds that a caption uses the word."""
        share = (self.captions + _EXTRA) / (self.total + 2 * _EXTRA)
        return torch.from_numpy(np.log(share / (1 - share))).float()


class CaptioningModule(GenerationModule):
    """Writes captions. May be helped by asking the memory for the words of the captions, as the
    word detectors of Fang et al. (2015) are asked, before it has to put them in order."""

    settings: CaptioningSettings

    def __init__(
        self,
        front: nn.Module,
        encoder: Encoder,
        decoder: Decoder,
        head: VocabularyHead,
        settings: CaptioningSettings,
        attention_options: AttentionOptions,
    ) -> None:
        super().__init__(front, encoder, decoder, head, settings, attention_options)
        self.words: nn.Linear | None = None
        if settings.words_weight:
            self.words = nn.Linear(encoder.output_size, head.projection.out_features)

    def start_from(self, frequencies: Frequencies) -> None:
        """Let the outputs begin with how often each word is used: what no picture is needed for
        then has not to be learned."""
        with torch.no_grad():
            self.head.projection.bias.copy_(frequencies.log_shares())
            if self.words is not None:
                self.words.bias.copy_(frequencies.log_odds())

    def encode(self, batch: Batch) -> Memory:
        """The memory of every caption: B rows from P pictures."""
        assert isinstance(batch, CaptionBatch)
        vectors = self.front(batch.source)  # P,L,E
        memory = self.encoder(vectors, batch.source_mask)
        return select_rows(memory, batch.owner)

    def prepared(self, batch: Batch) -> Batch:
        if not self.training:
            return batch
        return replace(batch, source=augmented(batch.source, self.settings))

    def training_loss(self, batch: Batch) -> Tensor:
        batch = self.prepared(batch)
        assert isinstance(batch, CaptionBatch)
        if self.training and self._words_first:
            loss = self.auxiliary_loss(self.encode(batch), batch)
            if loss is not None:
                return loss
        return self.loss_terms(batch, self.settings.label_smoothing).loss

    @property
    def _words_first(self) -> bool:
        """Whether it is too early to put words in order."""
        return self.global_step < self.settings.words_share * self.settings.steps

    def auxiliary_loss(self, memory: Memory, batch: Batch) -> Tensor | None:
        """Cross-entropy of which words a picture's captions use: summed over words, a mean over
        pictures. Of each word the cell counts that speaks for it most, or the mean of all."""
        assert isinstance(batch, CaptionBatch)
        if self.words is None or batch.words is None:
            return None
        pictures = torch.arange(len(batch.words), device=batch.owner.device)
        first = torch.searchsorted(batch.owner, pictures)  # P, a caption of each
        states = memory.states[first]  # P,L,D
        if self.settings.words_pool == "mean":
            logits = self.words(states.mean(dim=1))  # P,V
        else:
            logits = self.words(states).amax(dim=1)
        logits = logits[:, UNK + 1 :]
        wanted = batch.words[:, UNK + 1 :]
        loss = F.binary_cross_entropy_with_logits(logits, wanted, reduction="sum") / len(logits)
        return self.settings.words_weight * loss
