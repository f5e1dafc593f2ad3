"""Settings of speech: those of every task, the features, the front end, and what helps training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from tasks.budgets_old import PUBLISHED, SMOKE, Family, family
from tasks.settings import Settings

if TYPE_CHECKING:
    from bench.attention.base import Placement


class SpeechSettings(Settings):
    """Adds what lies between a waveform and the encoder."""

    batch_units: int = Field(
        4000, ge=1, description="source frames a batch holds at most, padding counted"
    )
    eval_units: int = Field(
        16000, ge=1, description="source frames a batch holds at most when testing"
    )

    # features
    n_mels: int = Field(40, ge=1, description="mel bands; of no influence on given features")
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


# What each budget means for each speech data set. Chosen on validation data.
#
# `batch_units` counts source frames here.

_SMOKE: Mapping[str, Any] = {**SMOKE, "batch_units": 1500, "front_size": 32}

# The papers' sizes: Chorowski 2015 (section 3.1: three layers of 256 GRU units each way), Dong 2018
# (the Speech-Transformer's base model); Gehring 2017's decoder, as in translation.
_PUBLISHED: Mapping[Family, Mapping[str, Any]] = {
    "recurrent": {
        "hidden": 512,
        "embedding": 256,
        "encoder_layers": 3,
        "batch_units": 40_000,
        "learning_rate": 1e-3,
    },
    "transformer": {
        "hidden": 256,
        "embedding": 256,
        "encoder_layers": 12,
        "decoder_layers": 6,
        "heads": 4,
        "feed_forward": 2048,
        "batch_units": 80_000,
        "learning_rate": 1e-3,
        "schedule": "inverse-sqrt",
    },
    "convolutional": {
        "hidden": 512,
        "embedding": 512,
        "encoder_layers": 8,
        "decoder_layers": 8,
        "batch_units": 40_000,
        "learning_rate": 5e-4,
    },
}

_GPU: Mapping[str, Any] = {
    "front_size": 256,
    "dropout": 0.2,
    "label_smoothing": 0.1,
    "ctc_weight": 0.3,
    "mask_bands": 15,
    "mask_frames": 40,
    "validations": 20,
}

#: Layers of the encoders and decoders that are not recurrent, on small data.
_LAYERS: Mapping[Family, Mapping[str, Any]] = {
    "recurrent": {},
    "transformer": {"encoder_layers": 2, "decoder_layers": 2},
    "convolutional": {"encoder_layers": 2, "decoder_layers": 2},
}


def probe_settings(budget: str, placement: Placement) -> Mapping[str, Any]:
    """The probe: 9 to 18 core-seconds a cell under `laptop`; `self` takes 37."""
    kind = family(placement)
    if budget == "smoke":
        return _SMOKE
    if budget == "gpu":
        return {**_GPU, "steps": 4000, "mask_bands": 0, "mask_frames": 0, **_PUBLISHED[kind]}
    return {
        "steps": 380,
        "batch_units": 900,
        "hidden": 128,
        "embedding": 64,
        "validations": 5,
        # By the validation loss: the Transformer learns half as much at 4e-3.
        "learning_rate": 2e-3 if kind == "transformer" else 4e-3,
        "ctc_weight": 0.3,
        **_LAYERS[kind],
    }


def digits_settings(budget: str, placement: Placement) -> Mapping[str, Any]:
    """Connected digits: about 7 core-minutes under `laptop`."""
    kind = family(placement)
    if budget == "smoke":
        return {**_SMOKE, "batch_units": 3000}
    if budget == "gpu":
        return {**_GPU, "steps": 10_000, **_PUBLISHED[kind]}
    return {
        # Half as many leave out the ends of sequences longer than any trained on.
        "steps": 4000,
        "batch_units": 6000,
        # Digits last half a second: positions 80 ms apart are enough, and fewer to choose from.
        "front_layers": 3,
        "front_size": 96,
        "hidden": 128,
        "embedding": 64,
        "validations": 5,
        "learning_rate": 4e-3 if kind == "recurrent" else 2e-3,
        "dropout": 0.2,
        "ctc_weight": 0.3,
        "mask_bands": 8,
        "mask_frames": 8,
        **_LAYERS[kind],
    }


def cepstra_settings(budget: str, placement: Placement) -> Mapping[str, Any]:
    """Hundreds of utterances of given cepstra: about 3 core-minutes under `laptop`."""
    kind = family(placement)
    if budget == "smoke":
        return {**_SMOKE, "batch_units": 3000}
    if budget == "gpu":
        return {**_GPU, "steps": 10_000, "deltas": 2, "mask_bands": 2, **_PUBLISHED[kind]}
    return {
        "steps": 600,
        "batch_units": 6000,
        "hidden": 128,
        "embedding": 64,
        "validations": 6,
        "learning_rate": 3e-3 if kind == "recurrent" else 2e-3,
        "dropout": 0.2,
        "deltas": 2,
        "ctc_weight": 0.5,
        "short_first": 1,
        **_LAYERS[kind],
    }


def recorded_settings(budget: str, placement: Placement) -> Mapping[str, Any]:
    """Hours of read speech in characters or words."""
    kind = family(placement)
    if budget == "smoke":
        return {**_SMOKE, "batch_units": 4000, "train_limit": 40, "test_limit": 6}
    long = {"max_length": 400, "n_mels": 80, "short_first": 1}
    if budget == "gpu":
        return {**_GPU, **long, "front_layers": 2, "steps": 60_000, **_PUBLISHED[kind]}
    return {
        **long,
        "steps": 2000,
        "batch_units": 8000,
        "hidden": 192,
        "embedding": 96,
        "validations": 10,
        "learning_rate": 2e-3,
        "dropout": 0.2,
        "n_mels": 40,
        "ctc_weight": 0.5,
        "mask_bands": 8,
        "mask_frames": 20,
        **_LAYERS[kind],
    }
