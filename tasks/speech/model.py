"""The Lightning module of speech recognition.

In training, utterances change their speed and frames are masked (SpecAugment). A front end
shortens them; then they are encoded and transcribed as in the other tasks that generate text.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from bench.attention.base import AttentionOptions, Memory
from bench.models.audio_encoder import ConvolutionalFront, FrameFront, PyramidalFront
from bench.models.base import Decoder, Encoder
from bench.models.layers import CtcHead, VocabularyHead
from tasks.data.batching import Batch
from tasks.speech.features import SpecAugment, SpeedPerturbation
from tasks.speech.settings import SpeechSettings
from tasks.training.sequence import GenerationModule


class SpeechModule(GenerationModule):
    """Front end, encoder, decoder with attention, head.

    Args:
        front: shortens the sequence of frames; the memory has one state per position of its output.
        ctc: head of a CTC loss on the memory, added to the decoder's loss, or None.
        augment: masks bands and frames of training utterances, or None.
        speed: changes the speed of training utterances, or None.
    """

    front: FrameFront

    def __init__(
        self,
        front: FrameFront,
        encoder: Encoder,
        decoder: Decoder,
        head: VocabularyHead,
        settings: SpeechSettings,
        attention_options: AttentionOptions,
        *,
        ctc: CtcHead | None = None,
        augment: SpecAugment | None = None,
        speed: SpeedPerturbation | None = None,
    ) -> None:
        super().__init__(front, encoder, decoder, head, settings, attention_options)
        self.ctc, self.augment, self.speed = ctc, augment, speed
        self.ctc_weight = settings.ctc_weight

    def augmented(self, batch: Batch) -> Batch:
        if not self.training:
            return batch
        source, mask = batch.source, batch.source_mask  # B,S,F and B,S
        # Gold alignments name positions, which another speed would move.
        if self.speed is not None and batch.gold is None:
            source, mask = self.speed(source, mask, torch.randint(2**31, (1,)).tolist())
        if self.augment is not None:
            source = self.augment(source, torch.randint(2**31, (1,)).tolist())
        return replace(batch, source=source, source_mask=mask)

    def encode_source(self, batch: Batch) -> Memory:
        # shorten B,S,F frames to B,L,E features, then encode
        features, mask = self.front(batch.source, batch.source_mask)
        memory: Memory = self.encoder(features, mask, batch.segments)
        return memory

    def auxiliary_loss(self, memory: Memory, batch: Batch) -> Tensor | None:
        if self.ctc is None:
            return None
        loss: Tensor = self.ctc(memory, batch.inputs[:, 1:])  # targets without begin and end
        return self.ctc_weight * loss


def front_kind(settings: SpeechSettings) -> type[FrameFront]:
    """The class of the front end that the settings name."""
    return PyramidalFront if settings.front == "pyramidal" else ConvolutionalFront


def build_front(size: int, settings: SpeechSettings) -> FrameFront:
    """Build the front end that the settings name, for frames of `size` features."""
    if settings.front == "pyramidal":
        return PyramidalFront(
            size,
            settings.front_size,
            layers=settings.front_layers,
            cell=settings.rnn_type,
            dropout=settings.dropout,
        )
    return ConvolutionalFront(
        size, settings.front_size, layers=settings.front_layers, dropout=settings.dropout
    )


def build_augment(size: int, settings: SpeechSettings) -> SpecAugment | None:
    """Build SpecAugment for frames of `size` features, or None if the settings mask nothing."""
    if not settings.mask_bands and not settings.mask_frames:
        return None
    bands = size // (1 + settings.deltas)
    return SpecAugment(bands, settings.mask_bands, settings.mask_frames, settings.masks)


def build_speed(settings: SpeechSettings) -> SpeedPerturbation | None:
    """Build the perturbation of speed, or None if the settings ask for none."""
    return SpeedPerturbation(settings.speed) if settings.speed else None
