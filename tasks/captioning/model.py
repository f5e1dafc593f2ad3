"""The Lightning module of captioning: pictures are encoded once for all their captions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.attention.base import AttentionOptions
from bench.attention.memory import Memory
from bench.models.base import Decoder, select_rows
from bench.models.grid_encoder import GridEncoder
from bench.models.head import VocabularyHead
from bench.models.picture_front import PictureFront
from tasks.captioning.augmentation import augmented
from tasks.captioning.batches import CaptionBatch
from tasks.captioning.settings import CaptioningSettings
from tasks.generation import Batch, GenerationModule
from tasks.text.tokenise import UNK


class CaptioningModule(GenerationModule):
    """Writes captions; may be helped by asking the annotation vectors for the captions' words."""

    front: PictureFront
    encoder: GridEncoder
    settings: CaptioningSettings

    def __init__(
        self,
        front: PictureFront,
        encoder: GridEncoder,
        decoder: Decoder,
        head: VocabularyHead,
        settings: CaptioningSettings,
        attention_options: AttentionOptions,
    ) -> None:
        super().__init__(front, encoder, decoder, head, settings, attention_options)
        self.words: nn.Linear | None = None
        if settings.words_weight:
            self.words = nn.Linear(front.output_size, head.projection.out_features)
            nn.init.zeros_(self.words.weight)
            nn.init.constant_(self.words.bias, -5.0)

    def encode(self, batch: Batch) -> Memory:
        assert isinstance(batch, CaptionBatch)
        return self._remember(self._see(batch), batch)

    def _see(self, batch: CaptionBatch) -> Tensor:
        """Annotation vectors P,L,E."""
        pictures = batch.source
        if self.training:
            pictures = augmented(pictures, self.settings)
        vectors: Tensor = self.front(pictures)
        return vectors

    def _remember(self, vectors: Tensor, batch: CaptionBatch) -> Memory:
        """The memory of every caption, B."""
        mask = torch.ones(vectors.shape[:2], dtype=torch.bool, device=vectors.device)
        memory: Memory = self.encoder(vectors, mask)
        assert batch.owner is not None
        return select_rows(memory, batch.owner)

    def training_loss(self, batch: Batch) -> Tensor:
        assert isinstance(batch, CaptionBatch)
        if self.words is None:
            return super().training_loss(batch)
        vectors = self._see(batch)
        loss = self.settings.words_weight * self._words_loss(vectors, batch)
        if self.global_step < self.settings.words_share * self.settings.steps:
            return loss
        memory = self._remember(vectors, batch)
        return loss + self.loss_terms(batch, self.settings.label_smoothing, memory).loss

    def _words_loss(self, vectors: Tensor, batch: CaptionBatch) -> Tensor:
        """Cross-entropy of which words are used, summed over words, a mean over pictures."""
        assert self.words is not None and batch.words is not None
        logits = self.words(vectors.mean(dim=1))  # P,V
        return F.binary_cross_entropy_with_logits(
            logits[:, UNK + 1 :], batch.words[:, UNK + 1 :], reduction="sum"
        ) / len(logits)
