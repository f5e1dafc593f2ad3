"""Features on disk: computed once per corpus, memory-mapped, gathered into padded batches.

An Arrow file holds, per utterance, its frames in half precision (they are normalised, so that is
ample) and the SHA-256 of its sound, in blocks of `ROWS` utterances. Opening it reads next to
nothing; a batch touches the pages of its own utterances only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from tasks.data.cache import cached, digest
from tasks.speech import features
from tasks.speech.datasets import SpeechCorpus, Utterance
from tasks.speech.features import Extractor, FeatureOptions

# Utterances read and written at once.
ROWS = 256


@dataclass(frozen=True)
class PaddedFrames:
    """A batch: features B,S,D float32, 0 after the end, and lengths B int64 in frames."""

    features: np.ndarray
    lengths: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        """B,S bool, True where real."""
        return np.arange(self.features.shape[1]) < self.lengths[:, None]


@dataclass(frozen=True)
class _Block:
    offsets: np.ndarray  # rows+1, in frames
    frames: np.ndarray  # all frames of the block, D; float16


class FeatureStore:
    """The features of a corpus.

    Attributes:
        rows: which rows belong to which part ("train", "validation", the test sets).
        lengths: N int64, frames of each utterance.
        size: D.
        frame_seconds: from one frame to the next; frame t is centred at t times this.
        sounds: N digests of the utterances' sound; equal ones sound the same.
        fingerprint: digest of sounds, targets, spans, their order and the options.
    """

    def __init__(self, path: Path, corpus: SpeechCorpus, options: FeatureOptions) -> None:
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        self.size = int(table.schema.metadata[b"size"])
        self._blocks = [_views(chunk, self.size) for chunk in table.column("frames").chunks]
        self.lengths = np.concatenate([np.diff(block.offsets) for block in self._blocks])
        self.frame_seconds = options.frame_seconds(corpus)
        self.sounds: list[bytes] = table.column("sound").to_pylist()
        self.rows = _rows(corpus)
        self.fingerprint = digest(
            "speech",
            features.VERSION,
            asdict(options),
            [corpus.unit, corpus.symbols, corpus.rate],
            {name: [rows.start, rows.stop] for name, rows in self.rows.items()},
            [[one.units, one.spans] for one in corpus.examples()],
            hashlib.sha256(b"".join(self.sounds)).hexdigest(),
        )

    def __len__(self) -> int:
        return len(self.lengths)

    def features(self, row: int) -> np.ndarray:
        """S,D float32 of one utterance."""
        block = self._blocks[row // ROWS]
        low, high = block.offsets[row % ROWS : row % ROWS + 2]
        return block.frames[low:high].astype(np.float32)

    def batch(self, rows: np.ndarray) -> PaddedFrames:
        """Gather utterances into one padded array. `rows` are B rows of the whole store."""
        rows = np.asarray(rows, dtype=np.int64)
        lengths = self.lengths[rows]
        width = int(lengths.max(initial=0))
        out = np.zeros((len(rows), width, self.size), dtype=np.float32)
        blocks, places = np.divmod(rows, ROWS)
        for number in np.unique(blocks):
            chosen = np.flatnonzero(blocks == number)
            block = self._blocks[number]
            frames = block.offsets[places[chosen], None] + np.arange(width)  # b,S
            real = np.arange(width) < lengths[chosen, None]
            # Where nothing is real, frame 0 is read and thrown away.
            gathered = block.frames[np.where(real, frames, 0)]
            out[chosen] = np.where(real[:, :, None], gathered, 0)
        return PaddedFrames(out, lengths)


def prepare(corpus: SpeechCorpus, options: FeatureOptions, cache: Path) -> FeatureStore:
    """The features of a corpus: from the cache, or computed and kept there.

    Raises:
        UsageError: a sound that cannot be read, or a cache that cannot be written.
    """
    key = digest(
        "features",
        features.VERSION,
        asdict(options),
        corpus.rate,
        [corpus.reader.identity(one) for one in corpus.examples()],
    )
    path = cached(
        cache / "features", key, lambda target: _write(target, corpus, options), suffix=".arrow"
    )
    return FeatureStore(path, corpus, options)


def _write(path: Path, corpus: SpeechCorpus, options: FeatureOptions) -> None:
    extractor = Extractor(corpus, options)
    utterances = list(corpus.examples())
    blocks = (utterances[low : low + ROWS] for low in range(0, len(utterances), ROWS))
    first = _block(next(blocks), corpus, extractor)
    schema = pa.schema(
        [("frames", pa.large_list(pa.float16())), ("sound", pa.binary(32))],
        metadata={"size": str(first[0][0].shape[1])},
    )
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(_record(first, schema))
        for block in blocks:
            writer.write_batch(_record(_block(block, corpus, extractor), schema))


def _block(
    utterances: list[Utterance], corpus: SpeechCorpus, extractor: Extractor
) -> tuple[list[np.ndarray], list[bytes]]:
    sounds = corpus.reader.read(utterances)
    return extractor(sounds), [hashlib.sha256(sound.tobytes()).digest() for sound in sounds]


def _record(block: tuple[list[np.ndarray], list[bytes]], schema: pa.Schema) -> pa.RecordBatch:
    frames, sounds = block
    values = np.concatenate([one.reshape(-1) for one in frames]).astype(np.float16)
    offsets = np.concatenate([[0], np.cumsum([one.size for one in frames])])
    column = pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), pa.array(values))
    return pa.record_batch([column, pa.array(sounds, pa.binary(32))], schema=schema)


def _views(frames: pa.LargeListArray, size: int) -> _Block:
    # Zero-copy: these arrays are the mapped file itself.
    return _Block(
        frames.offsets.to_numpy(zero_copy_only=True) // size,
        frames.values.to_numpy(zero_copy_only=True).reshape(-1, size),
    )


def _rows(corpus: SpeechCorpus) -> Mapping[str, range]:
    rows, start = {}, 0
    for name, part in corpus.splits.items():
        rows[name] = range(start, start + len(part))
        start += len(part)
    return rows
