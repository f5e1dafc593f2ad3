"""The phones of the speech probe: what the synthesiser is told about each.

An invented language of twenty phones, made so that reading single frames is not enough:
`a`/`aa` and `i`/`ii` differ in duration alone, and speaking rates vary; `ai`/`ia` pass through the
same spectra in opposite order; the bursts of stops are faint and the murmurs of nasals alike, so
that their place is heard mostly in the transitions of the neighbouring vowel (locus equations,
Sussman 1991).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Part:
    """A stretch of a phone with constant targets.

    Attributes:
        share: of the phone's duration.
        formants: resonances in Hz of a vocal tract of scale 1.
        voice, breath: gains of the glottal pulses and of noise sent through the vocal tract.
        friction: gain of noise made at a constriction, in a band of its own.
        band: centre and bandwidth of that noise in Hz.
    """

    share: float
    formants: tuple[float, float, float]
    voice: float = 0.0
    breath: float = 0.0
    friction: float = 0.0
    band: tuple[float, float] = (2000.0, 2000.0)


@dataclass(frozen=True)
class Phone:
    """A phone.

    Attributes:
        name: the target symbol.
        milliseconds: mean duration at a speaking rate of 1.
        parts: one or two stretches.
        yielding: how far second and third formant give way to the neighbouring vowel's (0 to 1).
    """

    name: str
    milliseconds: float
    parts: tuple[Part, ...]
    yielding: float = 0.0


_VOWELS = {
    "i": (290.0, 2250.0, 2950.0),
    "e": (490.0, 1850.0, 2550.0),
    "a": (740.0, 1250.0, 2500.0),
    "o": (500.0, 880.0, 2400.0),
    "u": (310.0, 800.0, 2250.0),
}
_LABIAL, _ALVEOLAR, _VELAR = (
    (300.0, 800.0, 2150.0),
    (300.0, 1800.0, 2700.0),
    (300.0, 1900.0, 2200.0),
)


def _vowel(name: str, milliseconds: float) -> Phone:
    path = [_VOWELS[letter] for letter in name]
    return Phone(name, milliseconds, tuple(Part(1 / len(path), f, voice=1.0) for f in path))


def _stop(
    name: str, locus: tuple[float, float, float], band: tuple[float, float], yielding: float
) -> Phone:
    voiced = name in "bd"
    closure = Part(0.7, locus, voice=0.12 if voiced else 0.0)
    burst = Part(0.3, locus, voice=0.4 if voiced else 0.0, breath=0.2, friction=0.35, band=band)
    return Phone(name, 62.0 if voiced else 75.0, (closure, burst), yielding)


def _fricative(
    name: str, locus: tuple[float, float, float], gain: float, band: tuple[float, float]
) -> Phone:
    return Phone(name, 82.0, (Part(1.0, locus, friction=gain, band=band),), 0.3)


def _sonorant(
    name: str, formants: tuple[float, float, float], gain: float, yielding: float
) -> Phone:
    return Phone(name, 65.0, (Part(1.0, formants, voice=gain),), yielding)


VOWELS: tuple[Phone, ...] = (
    *(_vowel(name, 66.0) for name in _VOWELS),
    *(_vowel(name, 118.0) for name in ("aa", "ii", "ai", "ia")),
)
CONSONANTS: tuple[Phone, ...] = (
    _stop("p", _LABIAL, (900.0, 1500.0), 0.4),
    _stop("t", _ALVEOLAR, (3300.0, 1800.0), 0.2),
    _stop("k", _VELAR, (1800.0, 1200.0), 0.6),
    _stop("b", _LABIAL, (900.0, 1500.0), 0.4),
    _stop("d", _ALVEOLAR, (3300.0, 1800.0), 0.2),
    _fricative("s", _ALVEOLAR, 0.7, (3700.0, 900.0)),
    _fricative("sh", (300.0, 1900.0, 2500.0), 0.9, (2600.0, 700.0)),
    _fricative("f", _LABIAL, 0.3, (2500.0, 5000.0)),
    _sonorant("m", (250.0, 1000.0, 2200.0), 0.35, 0.35),
    _sonorant("n", (250.0, 1500.0, 2500.0), 0.35, 0.35),
    _sonorant("l", (350.0, 1100.0, 2700.0), 0.6, 0.2),
)
#: Consonants that may end a syllable.
CODAS = ("s", "m", "n", "l")
PHONES: tuple[Phone, ...] = (*VOWELS, *CONSONANTS)
NAMES: tuple[str, ...] = tuple(phone.name for phone in PHONES)


@dataclass(frozen=True)
class PhoneTable:
    """The phones as arrays, by phone P and part 2 (a phone of one part has it twice).

    Attributes:
        border: P share of the duration at which the second part begins.
        formants: P,2,3 in Hz. gains: P,2,3 for voice, breath, friction. bands: P,2,2 in Hz.
        yielding: P. seconds: P mean durations. vowel: P bool.
    """

    border: np.ndarray
    formants: np.ndarray
    gains: np.ndarray
    bands: np.ndarray
    yielding: np.ndarray
    seconds: np.ndarray
    vowel: np.ndarray


def phone_table() -> PhoneTable:
    """`PHONES` as arrays, in that order."""
    pairs = [(phone.parts[0], phone.parts[-1]) for phone in PHONES]
    return PhoneTable(
        border=np.array([first.share for first, _ in pairs]),
        formants=np.array([[part.formants for part in pair] for pair in pairs]),
        gains=np.array([[(p.voice, p.breath, p.friction) for p in pair] for pair in pairs]),
        bands=np.array([[part.band for part in pair] for pair in pairs]),
        yielding=np.array([phone.yielding for phone in PHONES]),
        seconds=np.array([phone.milliseconds for phone in PHONES]) / 1000,
        vowel=np.arange(len(PHONES)) < len(VOWELS),
    )
