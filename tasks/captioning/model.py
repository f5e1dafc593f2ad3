"""The Lightning module of captioning.

A picture is encoded once for all its captions. Output layers start from word frequencies, so that
no step is spent on learning those.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.attention.base import AttentionOptions, Memory
from bench.models.base import Decoder, Encoder, select_rows
from bench.models.layers import VocabularyHead
from tasks.captioning.data import CaptionBatch
from tasks.captioning.encoders import FROM_SCRATCH
from tasks.captioning.settings import CaptioningSettings
from tasks.data.batching import Batch
from tasks.data.texts import EncodedTexts
from tasks.data.vocabulary import PAD, UNK
from tasks.training.sequence import GenerationModule

#: Added to every count, so that no logarithm is infinite.
_EXTRA = 0.5


@dataclass(frozen=True)
class Frequencies:
    """How often the training captions use each token.

    Attributes:
        uses: V, occurrences of every token, end tokens included.
        captions: V, number of captions that use it.
        total: number of captions.
    """

    uses: np.ndarray
    captions: np.ndarray
    total: int

    @classmethod
    def of(cls, captions: EncodedTexts, size: int) -> Frequencies:
        """Count the tokens of captions, from a vocabulary of `size`."""
        tokens = captions.batch(np.arange(len(captions)), end=True).values  # N,T
        uses = np.bincount(tokens[tokens != PAD], minlength=size)
        # count each token once per caption: where it first stands among the caption's sorted ones
        ordered = np.sort(tokens, axis=1)  # N,T
        first = np.diff(ordered, axis=1, prepend=-1) != 0
        used = np.bincount(ordered[first & (ordered != PAD)], minlength=size)
        return cls(uses, used, len(captions))

    def log_shares(self) -> Tensor:
        """Log of each token's share of all occurrences, V."""
        counts = self.uses + _EXTRA
        return torch.from_numpy(np.log(counts / counts.sum())).float()

    def log_odds(self) -> Tensor:
        """Log-odds that a caption uses each token, V."""
        share = (self.captions + _EXTRA) / (self.total + 2 * _EXTRA)
        return torch.from_numpy(np.log(share / (1 - share))).float()


class CaptioningModule(GenerationModule):
    """Generates captions. An auxiliary loss can train the memory to tell which words the captions
    use, in any order, as the word detectors of Fang et al. (2015) do; it may come first, alone."""

    settings: CaptioningSettings

    def __init__(
        self,
        front: nn.Module,
        encoder: Encoder,
        decoder: Decoder,
        head: VocabularyHead,
        settings: CaptioningSettings,
        attention_options: AttentionOptions,
    ) -> None:
        super().__init__(front, encoder, decoder, head, settings, attention_options)
        self.sees_pixels = settings.features == FROM_SCRATCH
        self.words: nn.Linear | None = None
        if settings.words_weight:
            self.words = nn.Linear(encoder.output_size, head.projection.out_features)

    def start_from(self, frequencies: Frequencies) -> None:
        """Initialize the output biases with word frequencies, which need not be learned then."""
        with torch.no_grad():
            self.head.projection.bias.copy_(frequencies.log_shares())
            if self.words is not None:
                self.words.bias.copy_(frequencies.log_odds())

    def encode_source(self, batch: Batch) -> Memory:
        """Encode P pictures; the memory has a row for each of B captions."""
        assert isinstance(batch, CaptionBatch)
        vectors = self.front(batch.source)  # P,L,E
        memory = self.encoder(vectors, batch.source_mask)
        return select_rows(memory, batch.owner)

    def augmented(self, batch: Batch) -> Batch:
        if not self.training or not self.sees_pixels:
            return batch
        return replace(batch, source=augmented(batch.source, self.settings))

    def training_loss(self, batch: Batch) -> Tensor:
        batch = self.augmented(batch)
        assert isinstance(batch, CaptionBatch)
        # The auxiliary loss is trained alone at first, before captions are generated.
        words_first = self.global_step < self.settings.words_share * self.settings.max_steps
        if self.training and words_first:
            loss = self.auxiliary_loss(self.encode(batch), batch)
            if loss is not None:
                return loss
        return self.loss_terms(batch, self.settings.label_smoothing).loss

    def auxiliary_loss(self, memory: Memory, batch: Batch) -> Tensor | None:
        """Cross-entropy of which words a picture's captions use, summed over words, a mean over
        pictures. The logit of a word is its maximum over the picture's regions, or that of their
        mean (`words_pool`)."""
        assert isinstance(batch, CaptionBatch)
        if self.words is None or batch.words is None:
            return None
        pictures = torch.arange(len(batch.words), device=batch.owner.device)
        first = torch.searchsorted(batch.owner, pictures)  # P, one caption of each picture
        states = memory.states[first]  # P,L,D
        if self.settings.words_pool == "mean":
            logits = self.words(states.mean(dim=1))  # P,V
        else:
            logits = self.words(states).amax(dim=1)  # P,V
        # special tokens are left out
        logits, used = logits[:, UNK + 1 :], batch.words[:, UNK + 1 :]
        loss = F.binary_cross_entropy_with_logits(logits, used, reduction="sum") / len(logits)
        return self.settings.words_weight * loss


def augmented(pictures: Tensor, settings: CaptioningSettings) -> Tensor:
    """P,H,W,3 to the same shape; what the settings leave out stays as it is.

    Draws from PyTorch's default generator, so a seed fixes the outcome.
    """
    if settings.crop or settings.flip:
        pictures = _moved(pictures, settings.crop, settings.flip)
    return _tinted(pictures, settings.tint) if settings.tint else pictures


def _moved(pictures: Tensor, crop: float, flip: float) -> Tensor:
    """Each picture's cut, whose sides are 1 - crop to 1 of the whole, stretched to its size, and
    mirrored with probability `flip`. P,H,W,3."""
    P = len(pictures)
    device = pictures.device
    share = 1.0 - crop * torch.rand(P, 2, device=device)  # across, down
    shift = (1.0 - share) * (2.0 * torch.rand(P, 2, device=device) - 1.0)
    mirrored = torch.rand(P, device=device) < flip
    turn = torch.where(mirrored, -1.0, 1.0)
    theta = torch.zeros(P, 2, 3, device=device)
    theta[:, 0, 0], theta[:, 1, 1] = share[:, 0] * turn, share[:, 1]
    theta[:, :, 2] = shift
    maps = pictures.permute(0, 3, 1, 2).float()
    places = F.affine_grid(theta, list(maps.shape), align_corners=False)
    moved = F.grid_sample(maps, places, padding_mode="reflection", align_corners=False)
    return moved.permute(0, 2, 3, 1)


def _tinted(pictures: Tensor, tint: float) -> Tensor:
    """Contrast and brightness by one factor and shift a picture, and a factor a colour."""
    P = len(pictures)
    pixels = pictures.float()

    def spread(size: int) -> Tensor:
        return tint * (2.0 * torch.rand(P, 1, 1, size, device=pixels.device) - 1.0)

    contrast, brightness, colours = 1.0 + spread(1), 127.5 * spread(1), 1.0 + 0.5 * spread(3)
    return ((pixels - 127.5) * contrast * colours + 127.5 + brightness).clamp(0.0, 255.0)
