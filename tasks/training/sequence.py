"""The Lightning module of the tasks that write: translation, captions, transcripts, headlines.

A front end turns what the task reads into features B,S,E; encoder, decoder with attention and
vocabulary head are the same for all. A task chooses the front end and keeps what is special to
it in its own folder.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench.attention.base import Attention, AttentionOptions, Memory
from bench.errors import UsageError
from bench.models.base import Decoded, Decoder, Encoder
from bench.models.heads import VocabularyHead
from bench.models.layers import dropout, token_embedding
from bench.models.losses import Baseline, doubly_stochastic_penalty, penalty_weight, reinforce_loss
from tasks.data.batching import TensorBatch
from tasks.data.vocabulary import PAD
from tasks.settings import Settings
from tasks.training.module import TrainingModule


@dataclass(frozen=True)
class Batch(TensorBatch):
    """B examples with padded sources and targets.

    Attributes:
        index: B int64, places of the examples in their split.
        source: what the front end reads: B,S int64 tokens, or B,S,F features, or pictures.
        source_mask: B,S bool, True where real.
        inputs: B,T int64, begin token and targets; PAD after the end.
        outputs: B,T int64, targets and end token; PAD after it.
        segments: B,S int64 segment of every source position, or None.
        units: real target units in `outputs`, counted without asking the device.
    """

    index: Tensor
    source: Tensor
    source_mask: Tensor
    inputs: Tensor
    outputs: Tensor
    segments: Tensor | None = None
    units: int = 0


class TokenFront(nn.Module):
    """Source tokens to features: an embedding with dropout. B,S -> B,S,E."""

    def __init__(self, vocabulary: int, embedding: int, dropout: float) -> None:
        super().__init__()
        self.embedding = token_embedding(vocabulary, embedding)
        self.dropout = dropout

    def forward(self, source: Tensor) -> Tensor:
        return dropout(self.embedding(source), self.dropout, self.training)


@dataclass(frozen=True)
class LossTerms:
    """What a batch's loss is made of; sums over its target units.

    Attributes:
        loss: scalar to minimise, a mean per unit.
        nll: sum of negative log-likelihoods in nats, without smoothing and penalties.
        right: units whose most probable token is the right one.
        units: number of units.
    """

    loss: Tensor
    nll: Tensor
    right: Tensor
    units: Tensor


class GenerationModule(TrainingModule):
    """Encoder-decoder that writes tokens.

    Args:
        front: source to features B,S,E.
        attention_options: read for the terms a mechanism adds to the loss.

    Raises:
        UsageError: attention that looks at words which are yet to be written.
    """

    def __init__(
        self,
        front: nn.Module,
        encoder: Encoder,
        decoder: Decoder,
        head: VocabularyHead,
        settings: Settings,
        attention_options: AttentionOptions,
    ) -> None:
        super().__init__(settings)
        if any(isinstance(part, Attention) and part.looks_ahead for part in decoder.modules()):
            raise UsageError(
                "attention to words that are yet to be written",
                where="--attention",
                remedy="tasks that read a given text (entailment) can use it",
            )
        self.front, self.encoder, self.decoder, self.head = front, encoder, decoder, head
        self.attention_options = attention_options
        self._baseline = Baseline.start(
            -math.log(head.projection.out_features),
            getattr(attention_options, "baseline_decay", 0.9),
            groups=head.projection.out_features,
        )

    def encode(self, batch: Batch) -> Memory:
        """The memory of a batch."""
        return self.encoder(self.front(batch.source), batch.source_mask, batch.segments)

    def auxiliary_loss(self, memory: Memory, batch: Batch) -> Tensor | None:
        """A further term of the training loss that needs the memory alone, weighted; None for
        none. Tasks override it."""
        return None

    def prepared(self, batch: Batch) -> Batch:
        """A batch as it is trained on, with whatever is drawn for that (pictures cut at random)."""
        return batch

    def training_loss(self, batch: Batch) -> Tensor:
        return self.loss_terms(self.prepared(batch), self.settings.label_smoothing).loss

    def loss_terms(self, batch: Batch, smoothing: float = 0.0) -> LossTerms:
        """Cross-entropy with label smoothing, and what the mechanism and the task add to it."""
        memory, penalty = self.encode(batch), penalty_weight(self.attention_options)
        decoded = self.decoder(batch.inputs, memory, need_weights=penalty > 0)
        real = batch.outputs != PAD  # B,T
        # Only real positions meet the vocabulary: it is the dearest product of the step.
        words = self.head.loss(decoded.features[real], batch.outputs[real], smoothing=smoothing)
        loss = words.loss
        if decoded.sampled is not None and self.training:
            loss = loss + self._sampling_loss(decoded, words.nll, batch.outputs, real)
        if penalty:
            assert decoded.weights is not None
            loss = loss + penalty * doubly_stochastic_penalty(decoded.weights, real, memory.mask)
        auxiliary = self.auxiliary_loss(memory, batch) if self.training else None
        if auxiliary is not None:
            loss = loss + auxiliary
        return LossTerms(loss, words.nll.sum(), words.right.sum(), real.sum())

    def validation_sums(self, batch: Batch) -> Tensor:
        terms = self.loss_terms(batch)
        return torch.stack([terms.nll, terms.right.float(), terms.units.float()])

    def validation_figures(self, sums: Tensor) -> dict[str, float]:
        return {"validation_accuracy": float(sums[1] / sums[2])}

    def count_units(self, batch: Batch) -> int:
        return batch.units

    def _sampling_loss(
        self, decoded: Decoded, nll: Tensor, outputs: Tensor, real: Tensor
    ) -> Tensor:
        """REINFORCE for the locations that were sampled (Xu 2015, equation 11)."""
        assert decoded.sampled is not None
        reward = torch.zeros(real.shape, device=nll.device)  # B,T
        reward[real] = -nll.float()
        names = ("reinforce_weight", "entropy_weight", "discount")
        options = self.attention_options.model_dump(include=set(names))
        loss, self._baseline = reinforce_loss(
            decoded.sampled, reward, real, self._baseline, groups=outputs, **options
        )
        return loss
