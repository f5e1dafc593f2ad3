"""The Lightning module of tasks that classify a text read with attention over another (entailment).

The decoders that generate in other tasks read a given text here, word by word with attention over
the source; a head classifies the states and contexts of all steps.
"""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.attention.base import AttentionOptions, WeightsKind
from bench.models.base import Decoder, Encoder
from bench.models.layers import ClassHead, ComparedWords, Reading, masked_mean, read
from bench.models.losses import gold_attention_loss
from tasks.data.batching import LabelledBatch
from tasks.settings import Settings
from tasks.training.module import TrainingModule

#: Smallest total weight of a source word over the text that is divided by.
SMALLEST = 1e-6


class ClassificationModule(TrainingModule):
    """Encoder, decoder that reads a given text, and classification head.

    Args:
        front: source to features B,S,E.
        attends: whether there is attention. Without it the head sees the two fixed vectors, as one
            position.
        classes: K, number of classes.
        attention_options: read for the terms that the mechanism adds to the loss.
        words: the embedding of both sides if the head also compares words: each with the weighted
            mean of those it attends to or, without attention, the means of both sides.
    """

    def __init__(
        self,
        front: nn.Module,
        encoder: Encoder,
        decoder: Decoder,
        head: ClassHead,
        attends: bool,
        classes: int,
        settings: Settings,
        attention_options: AttentionOptions,
        words: nn.Module | None = None,
    ) -> None:
        super().__init__(settings, attention_options, groups=classes)
        self.words = words
        self.front, self.encoder, self.decoder, self.head = front, encoder, decoder, head
        self.attends = attends

    @property
    def weights_kind(self) -> WeightsKind:
        """What the weights of its readings are."""
        return self.decoder.weights_kind

    def read(self, batch: LabelledBatch, *, need_weights: bool = False) -> Reading:
        """Read the texts of a batch with attention over its sources."""
        need_weights = need_weights or (self.words is not None and self.attends)
        # encode the source: memory of S states, B,S,H; then read T words and the end, B,T+1
        memory = self.encoder(self.front(batch.source), batch.source_mask, batch.segments)
        if self.settings.gold_attention == "given":
            assert batch.gold is not None
            # one that asks before it reads attends for a word in the step after it
            late = int(self.decoder.asks_before_reading)
            memory = replace(memory, given=F.pad(batch.gold, (0, 0, late, 0)))
        return read(self.decoder, batch.text, memory, need_weights=need_weights)

    def logits(self, reading: Reading, batch: LabelledBatch) -> Tensor:
        """Logits of the classes, B,K."""
        words = None if self.words is None else self._words(self.words, reading, batch)
        if not self.attends:
            return self.head(*reading.ends(), words)
        return self.head(reading.states, reading.contexts, reading.mask, words)

    def _words(self, embedding: nn.Module, reading: Reading, batch: LabelledBatch) -> ComparedWords:
        """Each word's embedding beside the mean of those of the other side that belong to it."""
        text = embedding(batch.text[:, : reading.mask.shape[1]])  # B,T,E
        source = embedding(batch.source)  # B,S,E
        if reading.weights is None:
            text = masked_mean(text, reading.mask)[:, None]  # B,1,E
            source = masked_mean(source, batch.source_mask)[:, None]
            first = reading.mask[:, :1]  # B,1
            return ComparedWords(text, source, first, source, text, first)
        # weights of source words for each text word, and the same normalized over the text
        weights = reading.weights * reading.mask[..., None]  # B,T,S
        by_source = weights / weights.sum(dim=1, keepdim=True).clamp_min(SMALLEST)  # B,T,S
        return ComparedWords(
            text,
            weights @ source,  # B,T,E
            reading.mask,
            source,
            by_source.transpose(1, 2) @ text,  # B,S,E
            batch.source_mask,
        )

    def training_loss(self, batch: LabelledBatch) -> Tensor:
        """Cross-entropy with label smoothing, and the terms that the mechanism adds."""
        penalties = self.penalties(of_units=False)
        taught = self.settings.gold_attention == "loss"
        reading = self.read(batch, need_weights=bool(penalties) or taught)
        logits = self.logits(reading, batch)
        smoothing = self.settings.label_smoothing
        loss = F.cross_entropy(logits, batch.labels, label_smoothing=smoothing)
        if reading.sampled is not None:
            loss = loss + self._sampling_loss(reading, logits, batch.labels)
        for weight, penalty in penalties:
            assert reading.weights is not None
            loss = loss + weight * penalty(reading.weights, reading.mask, batch.source_mask).mean()
        if taught:
            # a mean over examples of means over words
            assert batch.gold is not None
            weights = self.taught_weights(reading.weights, reading.parts)  # B,T,S
            wrong = gold_attention_loss(weights, batch.gold[:, :-1])  # B
            loss = loss + self.settings.gold_weight * (wrong / reading.mask.sum(dim=1)).mean()
        return loss

    def validation_sums(self, batch: LabelledBatch) -> Tensor:
        logits = self.logits(self.read(batch), batch)
        nll = F.cross_entropy(logits, batch.labels, reduction="sum")
        correct = (logits.argmax(dim=1) == batch.labels).sum().float()
        return torch.stack([nll, correct, torch.full_like(correct, len(logits))])

    def loss_weight(self, batch: LabelledBatch) -> int:
        return len(batch.labels)

    def _sampling_loss(self, reading: Reading, logits: Tensor, labels: Tensor) -> Tensor:
        """REINFORCE for the sampled locations (Xu 2015, equation 11).

        There is one reward, the log-probability of the true class, and every location of the
        example is credited with it; there are no later rewards to discount.
        """
        assert reading.sampled is not None
        with torch.no_grad():
            reward = -F.cross_entropy(logits, labels, reduction="none").float()  # B
            rewards = reward[:, None].expand(reading.steps.shape)  # B,T+1
        # A mean over examples of sums over steps, since the loss is a mean over examples.
        steps_each = reading.steps.sum() / len(labels)
        sampled = replace(reading.sampled, log_prob=reading.sampled.log_prob * steps_each)
        groups = labels[:, None].expand(reading.steps.shape)
        return self._reinforce(sampled, rewards, reading.steps, groups, discount=0.0)
