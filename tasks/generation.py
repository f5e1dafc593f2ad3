"""The Lightning module of the tasks that write: translation, captions, transcripts, headlines.

A front end turns what the task reads into features B,S,E; encoder, decoder with attention and
vocabulary head are the same for all. A task chooses the front end and keeps what is special to
it in its own folder.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from bench.attention.base import Attention, AttentionOptions
from bench.attention.doubly_stochastic import doubly_stochastic_penalty, penalty_weight
from bench.attention.memory import Memory
from bench.attention.reinforce import Baseline, reinforce_loss
from bench.errors import UsageError
from bench.models.base import Decoded, Decoder, Encoder
from bench.models.dropout import dropout
from bench.models.head import VocabularyHead
from bench.models.layers import token_embedding
from bench.models.unfolding import decoded_of, memories_of
from bench.stacking.fold import Fold
from tasks.settings import Settings
from tasks.tensors import TensorBatch
from tasks.text.tokenise import PAD
from tasks.training import StackableModule


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

    axes: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "index": ("B",),
        "source": ("B", "S"),
        "source_mask": ("B", "S"),
        "inputs": ("B", "T"),
        "outputs": ("B", "T"),
        "segments": ("B", "S"),
    }


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


@dataclass(frozen=True)
class Outputs:
    """What the network makes of a batch.

    Attributes:
        decoded: None where the memory alone is asked for.
    """

    memory: Memory
    decoded: Decoded | None

    def by_model(self, fold: Fold) -> list[Outputs]:
        """The parts of several models."""
        memories = memories_of(self.memory, fold)
        if self.decoded is None:
            return [Outputs(memory, None) for memory in memories]
        return list(map(Outputs, memories, decoded_of(self.decoded, fold)))


class GenerationModule(StackableModule):
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

    def outputs(self, batch: Batch) -> Outputs:
        memory, penalised = self.encode(batch), penalty_weight(self.attention_options) > 0
        return Outputs(memory, self.decoder(batch.inputs, memory, need_weights=penalised))

    def loss_of(self, outputs: Outputs, batch: Batch) -> Tensor:
        return self._terms(outputs, batch, self.settings.label_smoothing).loss

    def loss_terms(self, batch: Batch, smoothing: float = 0.0) -> LossTerms:
        """Cross-entropy with label smoothing, and what the mechanism and the task add to it."""
        return self._terms(self.outputs(batch), batch, smoothing)

    def _terms(self, outputs: Outputs, batch: Batch, smoothing: float) -> LossTerms:
        memory, decoded = outputs.memory, outputs.decoded
        penalty = penalty_weight(self.attention_options)
        assert decoded is not None
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
