"""Encoders, decoders and search, in three families: recurrent, Transformer, convolutional.

Here an encoder and a decoder are built for an attention, whose placement picks the family.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from bench.attention.attention import build_attention
from bench.attention.base import Attention, AttentionOptions, Placement, Sizes
from bench.errors import NotApplicable
from bench.models.base import Decoder, Encoder, ModelConfig
from bench.models.convolutional import ConvolutionalDecoder, ConvolutionalEncoder, attending_layers
from bench.models.recurrent import (
    CurrentStateDecoder,
    FixedDecoder,
    PreviousStateDecoder,
    RecurrentEncoder,
)
from bench.models.transformer import TransformerDecoder, TransformerEncoder


@dataclass(frozen=True)
class AttentionChoice:
    """The attention that a model is built with.

    Attributes:
        kind: the mechanism's class.
        score, options: arguments of its constructor.
        length_ratio: mean source length over mean target length of the training data.
        axes: 1 for sequences, 2 for pictures.
    """

    kind: type[Attention]
    score: str
    options: AttentionOptions = field(default_factory=AttentionOptions)
    length_ratio: float = 1.0
    axes: int = 1

    @property
    def placement(self) -> Placement:
        return self.kind.placement

    def build(self, sizes: Sizes) -> Attention:
        """Build the mechanism. Raises NotApplicable where the score does not suit the sizes."""
        sizes = replace(sizes, length_ratio=self.length_ratio, axes=self.axes)
        return build_attention(self.kind, sizes, self.score, self.options)


def build_encoder(choice: AttentionChoice, input_size: int, config: ModelConfig) -> Encoder:
    """Build the encoder of the attention's family.

    Args:
        input_size: E, size of the features.

    Raises:
        UsageError: sizes that do not fit each other.
    """
    match choice.placement:
        case "transformer":
            return TransformerEncoder(input_size, config, choice.build)
        case "convolutional":
            return ConvolutionalEncoder(input_size, config, len(attending_layers(config)))
        case "fixed" | "previous-state" | "current-state":
            return RecurrentEncoder(input_size, config)


def build_decoder(
    choice: AttentionChoice, memory_size: int, vocabulary_size: int, config: ModelConfig
) -> Decoder:
    """Build the decoder of the attention's family.

    Args:
        memory_size: D, size of the memory's states and summary: the encoder's `output_size`.
        vocabulary_size: V, number of target tokens.

    Raises:
        NotApplicable: the score does not suit the sizes, or an option does not suit the family.
        UsageError: sizes that do not fit each other.
    """
    if config.input_feeding and choice.placement != "current-state":
        raise NotApplicable(
            "input feeding belongs to attention with the current state",
            where="input_feeding",
            remedy="use it with 'global' or 'local'",
        )
    if not config.carry and choice.placement != "previous-state":
        raise NotApplicable(
            "carry=false requires attention with the previous state",
            where="carry",
            remedy="use it with 'soft' or 'hard'",
        )
    match choice.placement:
        case "transformer":
            return TransformerDecoder(vocabulary_size, memory_size, config, choice.build)
        case "convolutional":
            return ConvolutionalDecoder(vocabulary_size, memory_size, config, choice.build)
        case "fixed":
            return FixedDecoder(vocabulary_size, memory_size, config)
        case "previous-state":
            attention = choice.build(Sizes(query=config.hidden_dim, memory=memory_size))
            return PreviousStateDecoder(vocabulary_size, memory_size, config, attention)
        case "current-state":
            attention = choice.build(Sizes(query=config.hidden_dim, memory=memory_size))
            return CurrentStateDecoder(vocabulary_size, memory_size, config, attention)
