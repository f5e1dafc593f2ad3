"""Encoders, decoders and search, in three families, the backbones: recurrent, Transformer,
convolutional. Here an encoder and a decoder are built for a backbone and an attention."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bench.attention import Backbone
from bench.attention.attention import build_attention
from bench.attention.base import (
    Attention,
    AttentionOptions,
    Sizes,
)
from bench.errors import NotApplicable
from bench.models.base import Decoder, Encoder, ModelConfig
from bench.models.convolutional import ConvolutionalDecoder, ConvolutionalEncoder, attending_layers
from bench.models.recurrent import (
    CurrentStateDecoder,
    FixedDecoder,
    PreviousStateDecoder,
    RecurrentEncoder,
)
from bench.models.transformer import SelfAttentiveEncoder, TransformerDecoder, TransformerEncoder


@dataclass(frozen=True)
class AttentionChoice:
    """The attention that a model is built with, and the model's backbone.

    Attributes:
        kind: the mechanism's class.
        score, options: arguments of its constructor.
        backbone: the family of the model.
        length_ratio: mean source length over mean target length of the training data.
        axes: 1 for sequences, 2 for pictures.
    """

    kind: type[Attention]
    score: str
    options: AttentionOptions
    backbone: Backbone
    length_ratio: float = 1.0
    axes: int = 1

    def build(self, sizes: Sizes) -> Attention:
        """Build the mechanism or, in a slot that it does not fill, plain multi-head attention.
        Raises NotApplicable where the score does not suit the sizes."""
        if sizes.slot not in self.kind.slots:
            return build_attention("self", sizes)
        sizes = replace(sizes, length_ratio=self.length_ratio, axes=self.axes)
        return build_attention(self.kind, sizes, self.score, self.options, self.backbone)


def build_encoder(choice: AttentionChoice, input_size: int, config: ModelConfig) -> Encoder:
    """Build the encoder of a backbone.

    Args:
        input_size: E, size of the features.

    Raises:
        UsageError: sizes that do not fit each other.
    """
    match choice.backbone:
        case "transformer":
            return TransformerEncoder(input_size, config, choice.build)
        case "convolutional":
            encoder: Encoder = ConvolutionalEncoder(
                input_size, config, len(attending_layers(config))
            )
        case "recurrent":
            encoder = RecurrentEncoder(input_size, config)
    if config.encoder_self_attention:
        return SelfAttentiveEncoder(encoder, config, choice.build)
    return encoder


def build_decoder(
    choice: AttentionChoice, memory_size: int, vocabulary_size: int, config: ModelConfig
) -> Decoder:
    """Build the decoder of a backbone.

    Args:
        memory_size: D, size of the memory's states and summary: the encoder's `output_size`.
        vocabulary_size: V, number of target tokens.

    Raises:
        NotApplicable: the score does not suit the sizes, or an option does not suit the backbone.
        UsageError: sizes that do not fit each other.
    """
    place = choice.kind.placement if choice.backbone == "recurrent" else None
    if config.input_feeding and place != "current-state":
        raise NotApplicable(
            "input feeding belongs to recurrent decoders that attend with the current state",
            where="input_feeding",
            remedy="use it with 'global' or 'local'",
        )
    if not config.carry and place != "previous-state":
        raise NotApplicable(
            "carry=false requires a recurrent decoder that attends with the previous state",
            where="carry",
            remedy="use it with 'soft' or 'hard'",
        )
    coverage_loss: float = getattr(choice.options, "coverage_loss", 0.0)
    if coverage_loss and place is None:
        raise NotApplicable(
            "the coverage loss counts what one layer attended to step by step",
            where="coverage_loss",
            remedy="use it in a recurrent decoder",
        )
    match choice.backbone:
        case "transformer":
            return TransformerDecoder(vocabulary_size, memory_size, config, choice.build)
        case "convolutional":
            return ConvolutionalDecoder(vocabulary_size, memory_size, config, choice.build)
    if place == "fixed":
        return FixedDecoder(vocabulary_size, memory_size, config)
    attention = choice.build(
        Sizes(query=config.hidden_dim, memory=memory_size, heads=config.num_heads)
    )
    if place == "previous-state":
        return PreviousStateDecoder(vocabulary_size, memory_size, config, attention)
    return CurrentStateDecoder(vocabulary_size, memory_size, config, attention)
