"""The Lightning module of the tasks that generate text: translation, captioning, speech recognition
and summarization.

A front end turns the source (tokens, pictures or frames) into features B,S,E; encoder, decoder with
attention and vocabulary head are the same for all tasks. Captioning and speech add their own in
`tasks/<task>/model.py`. Translation and summarization share `text_module`, the model from text to
text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from bench.attention.base import Attention, AttentionOptions, Memory
from bench.errors import NotApplicable, UsageError
from bench.models import AttentionChoice, build_decoder, build_encoder
from bench.models.base import Decoded, Decoder, Encoder, ModelConfig
from bench.models.copying import PointerGenerator, PointerGeneratorDecoder, unchanged
from bench.models.layers import VocabularyHead, dropout, token_embedding
from bench.models.losses import WordLoss, gold_attention_loss
from bench.models.search import Head
from tasks.base import Plan
from tasks.data.batching import Batch
from tasks.data.texts import ModelTexts
from tasks.data.vocabulary import PAD, UNK
from tasks.settings import Settings, TextSettings
from tasks.training.module import TrainingModule, model_sizes

TextSettingsT = TypeVar("TextSettingsT", bound=TextSettings)
#: Builds an encoder as `bench.models.build_encoder` does.
EncoderBuilder = Callable[[AttentionChoice, int, ModelConfig], Encoder]


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
    """The loss of a batch and what is counted for the curve.

    Attributes:
        loss: scalar to minimize, a mean per target unit.
        nll: sum of negative log-likelihoods in nats, without smoothing and penalties.
        correct: number of target units whose most probable token is the reference's.
        units: number of target units.
    """

    loss: Tensor
    nll: Tensor
    correct: Tensor
    units: Tensor


class GenerationModule(TrainingModule):
    """Encoder-decoder that generates tokens.

    Args:
        front: source to features B,S,E.
        attention_options: read for the terms that the mechanism adds to the loss.
        pointer: copies words of the source; batches then say which. None to generate only.

    Raises:
        UsageError: if the attention is not causal.
    """

    def __init__(
        self,
        front: nn.Module,
        encoder: Encoder,
        decoder: Decoder,
        head: VocabularyHead,
        settings: Settings,
        attention_options: AttentionOptions,
        pointer: PointerGenerator | None = None,
    ) -> None:
        super().__init__(settings, attention_options, groups=head.projection.out_features)
        if any(isinstance(part, Attention) and part.needs_future for part in decoder.modules()):
            raise UsageError(
                "non-causal attention cannot be used in a decoder",
                where="--attention",
                remedy="tasks that read a given text (entailment) can use it",
            )
        self.front, self.encoder, self.decoder, self.head = front, encoder, decoder, head
        self.pointer = pointer

    def encode(self, batch: Batch) -> Memory:
        """Encode the sources of a batch. The memory has the gold alignment of each target unit if
        the settings give it in place of attention.

        In free decoding unit t of the output then gets the gold of the reference's unit t, whatever
        has been written so far; the end, units without gold and those beyond the reference attend
        on their own.
        """
        memory = self.encode_source(batch)
        if batch.copies is not None:
            memory = replace(memory, words=batch.copies.source)
        if self.settings.gold_attention != "given":
            return memory
        return replace(memory, given=batch.gold)

    def encode_source(self, batch: Batch) -> Memory:
        """Encode the sources of a batch; tasks override it."""
        return self.encoder(self.front(batch.source), batch.source_mask, batch.segments)

    def labels(self, batch: Batch) -> Tensor:
        """What is to be written, B,T: with a pointer, words of the source that the vocabulary lacks
        are labels of their own."""
        return batch.outputs if batch.copies is None else batch.copies.outputs

    def word_loss(
        self, decoded: Decoded, batch: Batch, real: Tensor, smoothing: float = 0.0
    ) -> WordLoss:
        """Cross-entropy of the N real target units, of which B,T `real` tells; with a pointer that
        of the mixture of generating and copying."""
        features, labels = decoded.features[real], self.labels(batch)[real]  # N,F and N
        if self.pointer is None or batch.copies is None:
            return self.head.loss(features, labels, smoothing=smoothing)
        copies, embedded = batch.copies, self.decoder.embedding(batch.inputs)
        size = self.pointer.size + len(copies.words)
        copied = self.pointer.copied(decoded, copies.source, embedded, size, real)
        return self.pointer.loss(self.head, features, copied, labels, smoothing=smoothing)

    def searched(self, batch: Batch) -> tuple[Decoder, Head]:
        """Decoder and head to search the outputs of a batch with."""
        if self.pointer is None or batch.copies is None:
            return self.decoder, self.head
        size = self.pointer.size + len(batch.copies.words)
        return PointerGeneratorDecoder(self.decoder, self.head, self.pointer, size), unchanged

    def auxiliary_loss(self, memory: Memory, batch: Batch) -> Tensor | None:
        """A further, weighted term of the training loss that depends on the memory alone, or None.
        Tasks override it."""
        return None

    def augmented(self, batch: Batch) -> Batch:
        """Change the sources of a training batch at random (crops, masks). Tasks override it."""
        return batch

    def training_loss(self, batch: Batch) -> Tensor:
        return self.loss_terms(self.augmented(batch), self.settings.label_smoothing).loss

    def loss_terms(self, batch: Batch, smoothing: float = 0.0) -> LossTerms:
        """Cross-entropy with label smoothing, and what the mechanism and the task add to it."""
        penalties = self.penalties()
        taught = self.training and self.settings.gold_attention == "loss"
        # encode the source: memory of S states, B,S,H
        memory = self.encode(batch)
        # decode with teacher forcing: features B,T,F
        weighs = bool(penalties) or taught or self.pointer is not None
        decoded = self.decoder(batch.inputs, memory, need_weights=weighs)
        # cross-entropy over the N real target units, N,F -> N,V: padding is left out of the most
        # expensive product of the step
        real = batch.outputs != PAD  # B,T
        tokens = self.word_loss(decoded, batch, real, smoothing)
        loss = tokens.loss
        # terms of the mechanism: REINFORCE for sampled locations, penalties on weights
        if decoded.sampled is not None and self.training:
            reward = torch.zeros(real.shape, device=tokens.nll.device)  # B,T
            reward[real] = -tokens.nll.float()
            loss = loss + self._reinforce(decoded.sampled, reward, real, batch.outputs)
        for weight, penalty in penalties:
            assert decoded.weights is not None
            each = penalty(decoded.weights, real, memory.mask)  # B
            loss = loss + weight * each.sum() / real.sum()
        # attention trained on gold alignments, a mean over all target units
        if taught:
            assert batch.gold is not None
            weights = self.taught_weights(decoded.weights, decoded.parts)  # B,T,S
            wrong = gold_attention_loss(weights, batch.gold)  # B
            loss = loss + self.settings.gold_weight * wrong.sum() / real.sum()
        # terms of the task: CTC, bag of words
        auxiliary = self.auxiliary_loss(memory, batch) if self.training else None
        if auxiliary is not None:
            loss = loss + auxiliary
        return LossTerms(loss, tokens.nll.sum(), tokens.right.sum(), real.sum())

    def validation_sums(self, batch: Batch) -> Tensor:
        terms = self.loss_terms(batch)
        return torch.stack([terms.nll, terms.correct.float(), terms.units.float()])


def text_module(
    plan: Plan[TextSettingsT, Any],
    data: ModelTexts,
    encoder_builder: EncoderBuilder = build_encoder,
) -> GenerationModule:
    """The model from text to text: token embeddings, encoder, decoder with attention, and a head
    over the target vocabulary, which a pointer may stand beside.

    Raises:
        NotApplicable: a pointer where nothing is attended to.
    """
    settings = plan.settings
    sizes = model_sizes(settings)
    choice = AttentionChoice(
        plan.attention, plan.cell.score, plan.attention_options, plan.backbone, data.length_ratio
    )
    front = TokenFront(data.source_tokenizer.size, settings.embedding_dim, settings.dropout)
    encoder = encoder_builder(choice, settings.embedding_dim, sizes)
    decoder = build_decoder(choice, encoder.output_size, data.target_tokenizer.size, sizes)
    if settings.joint_vocab:
        front.embedding = decoder.embedding
    head = VocabularyHead(decoder.output_size, decoder.embedding, tied=settings.tie_embeddings)
    pointer = None
    if settings.copying == "pointer-generator":
        if not plan.attends:
            raise NotApplicable(
                "without attention there are no weights to copy by",
                where="copying=pointer-generator",
                remedy="use it with a mechanism",
            )
        pointer = PointerGenerator(decoder, UNK)
    options = plan.attention_options
    return GenerationModule(front, encoder, decoder, head, settings, options, pointer)
