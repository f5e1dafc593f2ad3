"""Encoders and decoders from names and sizes; the placement of the attention picks the family."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from bench.attention.base import Attention, AttentionOptions, Placement, Sizes
from bench.attention.registries import build_attention
from bench.errors import NotApplicable
from bench.models.base import Decoder, Encoder, ModelSizes
from bench.models.convolutional import ConvolutionalDecoder, ConvolutionalEncoder, attending_layers
from bench.models.recurrent import AfterDecoder, BeforeDecoder, FixedDecoder, RecurrentEncoder
from bench.models.transformer import TransformerDecoder, TransformerEncoder


@dataclass(frozen=True)
class AttentionChoice:
    """Which attention a model is built with.

    Attributes:
        kind: the mechanism's class.
        score, options: as its constructor takes them.
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
        """The mechanism for these sizes. Raises NotApplicable where the score does not suit."""
        sizes = replace(sizes, length_ratio=self.length_ratio, axes=self.axes)
        return build_attention(self.kind, sizes, self.score, self.options)


def build_encoder(choice: AttentionChoice, input_size: int, sizes: ModelSizes) -> Encoder:
    """The encoder of the attention's family.

    Args:
        input_size: E, size of the features.

    Raises:
        UsageError: sizes that do not fit each other.
    """
    match choice.placement:
        case "transformer":
            return TransformerEncoder(input_size, sizes, choice.build)
        case "convolutional":
            return ConvolutionalEncoder(input_size, sizes, len(attending_layers(sizes)))
        case "fixed" | "before" | "after":
            return RecurrentEncoder(input_size, sizes)


def build_decoder(
    choice: AttentionChoice, memory_size: int, vocabulary_size: int, sizes: ModelSizes
) -> Decoder:
    """The decoder of the attention's family.

    Args:
        memory_size: D, size of the memory's states and summary: the encoder's `output_size`.
        vocabulary_size: V, number of target tokens.

    Raises:
        NotApplicable: the score does not suit the sizes, or an option does not suit the family.
        UsageError: sizes that do not fit each other.
    """
    if sizes.input_feeding and choice.placement != "after":
        raise NotApplicable(
            "input feeding belongs to attention with the current state",
            where="input_feeding",
            remedy="use it with 'global' or 'local'",
        )
    if not sizes.carry and choice.placement != "before":
        raise NotApplicable(
            "only where the context enters the cells do they work without the state before",
            where="carry",
            remedy="use it with 'soft' or 'hard'",
        )
    match choice.placement:
        case "transformer":
            return TransformerDecoder(vocabulary_size, memory_size, sizes, choice.build)
        case "convolutional":
            return ConvolutionalDecoder(vocabulary_size, memory_size, sizes, choice.build)
        case "fixed":
            return FixedDecoder(vocabulary_size, memory_size, sizes)
        case "before" | "after":
            attention = choice.build(Sizes(query=sizes.hidden, memory=memory_size))
            kind = BeforeDecoder if choice.placement == "before" else AfterDecoder
            return kind(vocabulary_size, memory_size, sizes, attention)
