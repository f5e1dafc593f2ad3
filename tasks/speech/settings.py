"""Settings of speech: those of every task, and what lies between a waveform and the encoder."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tasks.settings import Settings


class SpeechSettings(Settings):
    """Adds the features, the front end, and what helps training."""

    batch_tokens: int = Field(
        4000, ge=1, description="source frames a batch holds at most, padding counted"
    )
    eval_batch_tokens: int = Field(
        16000, ge=1, description="source frames a batch holds at most when testing"
    )

    # features
    n_mels: int = Field(
        40, ge=1, description="number of mel bands; ignored for precomputed features"
    )
    deltas: int = Field(0, ge=0, le=2, description="orders of differences appended to features")
    normalise: bool = Field(True, description="mean 0 and variance 1 in every band, per utterance")

    # front end
    front: Literal["convolutional", "pyramidal"] = Field(
        "convolutional", description="strided convolutions, or recurrent layers (Chan 2016)"
    )
    front_layers: int = Field(2, ge=0, le=6, description="each one halves the number of positions")
    front_size: int = Field(128, ge=2, description="size of the front end's features")
    max_positions: int = Field(
        2048, ge=1, description="longest encoded utterance with learned positions (multi-step)"
    )

    # decoder
    carry: bool = Field(
        True,
        description="soft and hard: the decoder's state goes from step to step; without, nothing "
        "counts steps, and utterances longer than in training do not end early",
    )

    # help in training
    ctc_weight: float = Field(
        0.0, ge=0, description="weight of a CTC loss on the encoder's states (Kim 2017)"
    )
    short_first: int = Field(
        0, ge=0, description="first epochs that go by length, the shortest utterances first"
    )
    mask_bands: int = Field(0, ge=0, description="SpecAugment: widest mask in bands; 0 for none")
    mask_frames: int = Field(0, ge=0, description="SpecAugment: widest mask in frames; 0 for none")
    masks: int = Field(2, ge=1, description="SpecAugment: masks of each kind")
    speed: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="speed perturbation: largest change of a training batch's speed, as in 0.2; "
        "batches with gold alignments keep theirs",
    )
