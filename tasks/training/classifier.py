"""The Lightning module of tasks that classify a text read over a memory.

The same decoders that write in other tasks read a given text here, word by word with attention
over the source; a head makes classes of what they read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.attention.base import AttentionOptions, Placement
from bench.models.base import Decoder, Encoder
from bench.models.heads import ClassHead, ComparedWords, Reading, read
from bench.models.layers import masked_mean
from bench.models.losses import Baseline, doubly_stochastic_penalty, penalty_weight, reinforce_loss
from tasks.data.batching import TensorBatch
from tasks.settings import Settings
from tasks.training.module import TrainingModule

#: Of the weight of a source word over the text, before it is divided by.
SMALLEST = 1e-6


@dataclass(frozen=True)
class LabelledBatch(TensorBatch):
    """B examples: a source, a text to be read over it, a class.

    Attributes:
        index: B int64, places of the examples in their split.
        source: B,S int64 tokens.
        source_mask: B,S bool, True where real.
        text: B,T+1 int64, words and end token; padding after it.
        labels: B int64 classes; -1 where none is known.
        segments: B,S int64 segment of every source position, or None.
        units: words to be read, counted without asking the device.
    """

    index: Tensor
    source: Tensor
    source_mask: Tensor
    text: Tensor
    labels: Tensor
    segments: Tensor | None = None
    units: int = 0


class ClassificationModule(TrainingModule):
    """Encoder, decoder that reads, head.

    Args:
        front: source to features B,S,E.
        placement: of the attention; says which step's context belongs to which word. Without
            attention ("fixed") the head sees the two fixed vectors, as one position.
        words: the embedding of both sides if the head compares words, too: each with the average
            of those it attends to or, without attention, the means of both sides.
        classes: K.
        attention_options: read for the terms a mechanism adds to the loss.
    """

    def __init__(
        self,
        front: nn.Module,
        encoder: Encoder,
        decoder: Decoder,
        head: ClassHead,
        placement: Placement,
        classes: int,
        settings: Settings,
        attention_options: AttentionOptions,
        words: nn.Module | None = None,
    ) -> None:
        super().__init__(settings)
        self.words = words
        self.front, self.encoder, self.decoder, self.head = front, encoder, decoder, head
        self.placement: Placement = placement
        self.attention_options = attention_options
        self._baseline = Baseline.start(
            -math.log(classes), getattr(attention_options, "baseline_decay", 0.9), groups=classes
        )

    def read(self, batch: LabelledBatch, *, need_weights: bool = False) -> Reading:
        """Read the texts of a batch over its sources."""
        need_weights = need_weights or (self.words is not None and self.placement != "fixed")
        memory = self.encoder(self.front(batch.source), batch.source_mask, batch.segments)
        return read(self.decoder, self.placement, batch.text, memory, need_weights=need_weights)

    def logits(self, reading: Reading, batch: LabelledBatch) -> Tensor:
        """B,K scores of the classes."""
        words = None if self.words is None else self._words(self.words, reading, batch)
        if self.placement == "fixed":
            return self.head(*reading.ends(), words)
        return self.head(reading.states, reading.contexts, reading.mask, words)

    def _words(self, embedding: nn.Module, reading: Reading, batch: LabelledBatch) -> ComparedWords:
        text = embedding(batch.text[:, : reading.mask.shape[1]])  # B,T,E
        source = embedding(batch.source)  # B,S,E
        if reading.weights is None:
            text = masked_mean(text, reading.mask)[:, None]  # B,1,E
            source = masked_mean(source, batch.source_mask)[:, None]
            one = reading.mask[:, :1]  # B,1
            return ComparedWords(text, source, one, source, text, one)
        weights = reading.weights * reading.mask[..., None]  # B,T,S
        taken = weights / weights.sum(dim=1, keepdim=True).clamp_min(SMALLEST)  # B,T,S
        return ComparedWords(
            text,
            weights @ source,
            reading.mask,
            source,
            taken.transpose(1, 2) @ text,  # B,S,E
            batch.source_mask,
        )

    def training_loss(self, batch: LabelledBatch) -> Tensor:
        """Cross-entropy with label smoothing, and what the mechanism adds to it."""
        penalty = penalty_weight(self.attention_options)
        reading = self.read(batch, need_weights=penalty > 0)
        logits = self.logits(reading, batch)
        smoothing = self.settings.label_smoothing
        loss = F.cross_entropy(logits, batch.labels, label_smoothing=smoothing)
        if reading.sampled is not None:
            loss = loss + self._sampling_loss(reading, logits, batch.labels)
        if penalty:
            assert reading.weights is not None
            loss = loss + penalty * doubly_stochastic_penalty(
                reading.weights, reading.mask, batch.source_mask
            )
        return loss

    def validation_sums(self, batch: LabelledBatch) -> Tensor:
        logits = self.logits(self.read(batch), batch)
        nll = F.cross_entropy(logits, batch.labels, reduction="sum")
        right = (logits.argmax(dim=1) == batch.labels).sum().float()
        return torch.stack([nll, right, torch.full_like(right, len(logits))])

    def validation_figures(self, sums: Tensor) -> dict[str, float]:
        return {"validation_accuracy": float(sums[1] / sums[2])}

    def count_units(self, batch: LabelledBatch) -> int:
        return batch.units

    def loss_weight(self, batch: LabelledBatch) -> int:
        return len(batch.labels)

    def _sampling_loss(self, reading: Reading, logits: Tensor, labels: Tensor) -> Tensor:
        """REINFORCE for the locations that were drawn (Xu 2015, equation 11).

        There is one reward, the log-probability of the right class, and every location of the
        example is credited with it; nothing comes later that could be discounted.
        """
        assert reading.sampled is not None
        with torch.no_grad():
            reward = -F.cross_entropy(logits, labels, reduction="none").float()  # B
            rewards = reward[:, None].expand(reading.steps.shape)  # B,T+1
        # The mean over examples of sums over steps, as the loss is a mean over examples.
        steps_each = reading.steps.sum() / len(labels)
        sampled = replace(reading.sampled, log_prob=reading.sampled.log_prob * steps_each)
        names = ("reinforce_weight", "entropy_weight")
        loss, self._baseline = reinforce_loss(
            sampled,
            rewards,
            reading.steps,
            self._baseline,
            groups=labels[:, None].expand(reading.steps.shape),
            discount=0.0,
            **self.attention_options.model_dump(include=set(names)),
        )
        return loss
