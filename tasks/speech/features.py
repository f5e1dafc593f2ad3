"""From sound to features: log-mel filter banks or given features, normalised, with deltas.

Computed once per corpus and kept on disk; what varies in training (masks, speed) comes after it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate, chain, pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchaudio.transforms import ComputeDeltas, FrequencyMasking, MelSpectrogram, TimeMasking

from bench.attention.base import lengths_to_mask
from tasks.data.batching import sorted_batches
from tasks.data.cache import Padded, RaggedArray, cached, digest, read_table, write_blocks
from tasks.speech.datasets import SpeechCorpus

# Added to mel energies: about what rounding to 16 bits leaves in a silent frame.
FLOOR = 1e-8
#: Half the width in frames of the window that deltas are computed in.
DELTA_REACH = 2
# Padded values (samples, or features) worked on at once.
BATCH = 2_000_000
# Utterances read and written at once.
ROWS = 256
# Raised when the same sound would give other features than before.
VERSION = 2


@dataclass(frozen=True)
class FeatureOptions:
    """How features are computed.

    Attributes:
        n_mels: number of mel bands; ignored for precomputed features.
        window, hop: length and distance of frames in seconds; ignored as well.
        deltas: how many orders of differences are appended (0, 1 or 2).
        normalise: whether each utterance is brought to mean 0 and variance 1 in every band.
    """

    n_mels: int = 40
    window: float = 0.025
    hop: float = 0.010
    deltas: int = 0
    normalise: bool = True

    def frame_seconds(self, corpus: SpeechCorpus) -> float:
        """Seconds from one frame to the next. Frame t has its centre at t times this."""
        if corpus.reader.kind == "features":
            return 1.0 / corpus.rate
        return round(self.hop * corpus.rate) / corpus.rate


class Extractor:
    """Computes the features of utterances of one corpus, many at a time.

    An utterance's features do not depend on what it is batched with: frames are centred on
    multiples of the hop, with silence beyond both ends, which is what padding is.
    """

    def __init__(self, corpus: SpeechCorpus, options: FeatureOptions) -> None:
        self._options = options
        self._mel = None if corpus.reader.kind == "features" else _mel(corpus.rate, options)
        self._deltas = ComputeDeltas(2 * DELTA_REACH + 1)

    def __call__(self, sounds: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Features frames,size float32 of each utterance's sound (as its reader gives it)."""
        found: list[np.ndarray] = [np.empty(0)] * len(sounds)
        sizes = np.array([sound.size for sound in sounds])
        for batch in sorted_batches(sizes, BATCH):
            computed = self._batch([sounds[index] for index in batch])
            for index, features in zip(batch, computed, strict=True):
                found[index] = features
        return found

    def _batch(self, sounds: Sequence[np.ndarray]) -> list[np.ndarray]:
        sizes = torch.tensor([len(sound) for sound in sounds])
        # Sounds side by side, silence behind the shorter ones.
        padded = nn.utils.rnn.pad_sequence(
            [torch.from_numpy(sound) for sound in sounds], batch_first=True
        )  # B,n or B,S,size
        # Given features, or log-mel energies: one frame a hop, centred on its multiples.
        if self._mel is None:
            features, lengths = padded, sizes
        else:
            features = torch.log(self._mel(padded) + FLOOR).transpose(1, 2)  # B,S,M
            lengths = 1 + sizes // self._mel.hop_length
        # Each utterance and band to mean 0 and variance 1 over its own frames.
        if self._options.normalise:
            features = normalised(features, lengths)
        features = self._with_deltas(features, lengths)
        return [row[:length].numpy() for row, length in zip(features, lengths, strict=True)]

    def _with_deltas(self, features: Tensor, lengths: Tensor) -> Tensor:
        orders = [features]
        for _ in range(self._options.deltas):
            # The last frame goes on beyond the end, as the filter itself does at a tensor's end.
            places = torch.arange(features.shape[1])[None, :].minimum(lengths[:, None] - 1)  # B,S
            held = orders[-1].gather(1, places[:, :, None].expand_as(orders[-1]))
            orders.append(self._deltas(held.transpose(1, 2)).transpose(1, 2))
        return torch.cat(orders, dim=2)


def normalised(features: Tensor, lengths: Tensor) -> Tensor:
    """Mean 0 and variance 1 over each utterance's own frames, band by band. B,S,M -> B,S,M."""
    real = lengths_to_mask(lengths, features.shape[1])[:, :, None]  # B,S,1
    count = lengths[:, None, None]
    mean = (features * real).sum(dim=1, keepdim=True) / count
    centred = (features - mean) * real
    deviation = (centred.square().sum(dim=1, keepdim=True) / count).sqrt()
    # A band that never changes stays at 0.
    return centred / deviation.clamp(min=1e-3)


def _mel(rate: int, options: FeatureOptions) -> MelSpectrogram:
    window = round(options.window * rate)
    return MelSpectrogram(
        sample_rate=rate,
        n_fft=_fft_size(rate, window, options.n_mels),
        win_length=window,
        hop_length=round(options.hop * rate),
        n_mels=options.n_mels,
        center=True,
        pad_mode="constant",
    )


def _fft_size(rate: int, window: int, n_mels: int) -> int:
    """The smallest power of two that holds the window and leaves no mel band without a bin.

    Bands widen upwards, so it is enough that bins lie closer than the lowest band is wide.
    """
    highest = 2595 * math.log10(1 + rate / 2 / 700)  # the mel scale of HTK, as in torchaudio
    width = 700 * (10 ** (2 * highest / (n_mels + 1) / 2595) - 1)
    size = 1 << (window - 1).bit_length()
    while rate / size >= width:
        size *= 2
    return size


class FeatureStore:
    """The features of a corpus, memory-mapped: in half precision, which is ample since they are
    normalised.

    Attributes:
        rows: which rows belong to which split ("train", "validation", the test sets).
        lengths: N int64, frames of each utterance.
        size: D.
        frame_seconds: from one frame to the next; frame t is centred at t times this.
        fingerprint: digest of all that the features depend on: the sounds in order, the options.
    """

    def __init__(
        self, path: Path, fingerprint: str, corpus: SpeechCorpus, options: FeatureOptions
    ) -> None:
        table = read_table(path)
        self.size = int(table.schema.metadata[b"size"])
        self._frames = RaggedArray.of_column(table.column("frames"), self.size)
        self.lengths = self._frames.lengths
        self.frame_seconds = options.frame_seconds(corpus)
        borders = pairwise(accumulate(map(len, corpus.splits.values()), initial=0))
        self.rows = {name: range(*ends) for name, ends in zip(corpus.splits, borders, strict=True)}
        self.fingerprint = fingerprint

    def __len__(self) -> int:
        return len(self.lengths)

    def features(self, row: int) -> np.ndarray:
        """S,D float32 of one utterance."""
        return self._frames[row].astype(np.float32)

    def batch(self, rows: np.ndarray) -> Padded:
        """The features B,S,D float32 of utterances, 0 after the end. `rows` are B rows of the whole
        store."""
        return self._frames.gather(rows, dtype=np.float32)


def prepare_features(corpus: SpeechCorpus, options: FeatureOptions, cache: Path) -> FeatureStore:
    """The features of a corpus: from the cache, or computed and kept there.

    Raises:
        UsageError: a sound that cannot be read, or a cache that cannot be written.
    """
    sounds = list(map(corpus.reader.identity, corpus.examples()))
    key = digest("features", VERSION, asdict(options), corpus.rate, sounds)
    path = cached(
        cache / "features", key, lambda target: _write(target, corpus, options), suffix=".arrow"
    )
    return FeatureStore(path, key, corpus, options)


def _write(path: Path, corpus: SpeechCorpus, options: FeatureOptions) -> None:
    extractor = Extractor(corpus, options)
    utterances = list(corpus.examples())
    reads = (
        corpus.reader.read(utterances[low : low + ROWS]) for low in range(0, len(utterances), ROWS)
    )
    blocks = map(extractor, reads)
    first = next(blocks)
    write_blocks(
        path,
        {"frames": pa.large_list(pa.float16())},
        (
            {"frames": [one.astype(np.float16).reshape(-1) for one in frames]}
            for frames in chain([first], blocks)
        ),
        metadata={"size": str(first[0].shape[1])},
    )


class SpecAugment(nn.Module):
    """Masks bands and stretches of time of training utterances (Park 2019, without warping).

    Args:
        bands, frames: widest mask in bands and in frames; 0 masks nothing.
        masks: number of masks of each kind.
        share: largest share of the (padded) frames that one mask may cover.
        n_mels: bands; deltas of a masked band are masked with it.
    """

    def __init__(
        self, n_mels: int, bands: int, frames: int, masks: int = 2, share: float = 0.2
    ) -> None:
        super().__init__()
        self._n_mels, self._masks = n_mels, masks
        self._bands = FrequencyMasking(bands, iid_masks=True)
        self._frames = TimeMasking(frames, iid_masks=True, p=share)

    def forward(self, features: Tensor, seed: Sequence[int]) -> Tensor:
        """Mask features B,S,D with 0, their mean. The same seed gives the same masks."""
        B, S, D = features.shape
        keep = torch.ones(B, 1, self._n_mels, S)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(np.random.SeedSequence(tuple(seed)).generate_state(1)[0]))
            for _ in range(self._masks):
                keep = self._frames(self._bands(keep))
        kept = keep.squeeze(1).transpose(1, 2).to(features)  # B,S,M
        return features * kept.repeat(1, 1, D // self._n_mels)


class SpeedPerturbation(nn.Module):
    """Makes training utterances slower or faster (Ko 2015, on frames in place of the waveform: the
    pitch stays). A model that counts frames cannot rely on it.

    Args:
        largest: largest change of the speed; lengths change by factors from 1 - largest to
            1 + largest, the same one for a whole batch.
    """

    def __init__(self, largest: float) -> None:
        super().__init__()
        self._largest = largest

    def forward(self, features: Tensor, mask: Tensor, seed: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Resample features B,S,D with mask B,S, True where real, to B,S',D and B,S'. The same
        seed gives the same speed."""
        rng = np.random.default_rng(tuple(seed))
        factor = 1.0 + self._largest * rng.uniform(-1.0, 1.0)
        size = max(1, round(features.shape[1] * factor))
        resampled = F.interpolate(features.transpose(1, 2), size=size, mode="linear")  # B,D,S'
        lengths = (mask.sum(1) * factor).round().clamp(1, size)
        return resampled.transpose(1, 2), lengths_to_mask(lengths.long(), size)
