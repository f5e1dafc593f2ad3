"""A formant synthesiser: phones with their spans to sound, for whole batches of utterances.

Source and filter (Fant 1960; Klatt 1980): glottal pulses and noise, sent through a cascade of
resonators that stands for the vocal tract, plus noise of constrictions sent through a band of its
own. Formants glide between the targets of neighbouring phones, so short vowels undershoot and
consonants leave their mark on what surrounds them (coarticulation).

All utterances of a batch lie one behind the other on one time line that is cut into frames of
`HOP` samples. Whatever changes with the phones is computed per frame; each frame of source is
filtered in the frequency domain and added to its neighbours, so that nothing runs sample by
sample or utterance by utterance in Python.

The phones are those of an invented language, made so that reading single frames is not enough:
`a`/`aa` and `i`/`ii` differ in duration alone, and speaking rates vary; `ai`/`ia` pass through
the same spectra in opposite order; the bursts of stops are faint and the murmurs of nasals alike,
so that their place is heard mostly in the transitions of the neighbouring vowel (locus equations,
Sussman 1991).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tasks.speech.datasets import SoundReader, Utterance


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
_LABIAL, _ALVEOLAR = (300.0, 800.0, 2150.0), (300.0, 1800.0, 2700.0)
_VELAR = (300.0, 1900.0, 2200.0)


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


RATE = 8000
#: Frames are this far apart, twice as long, and ring out within `SPAN` samples.
HOP, SPAN = 64, 256
#: Formants move along the mean of this many frames, taken twice: a triangle of about 60 ms.
#: An utterance begins and ends with at least as much silence as it reaches to either side.
GLIDE = 4
#: Silent frames between utterances: their formants and echoes never meet.
GUARD = 12
# Frames filtered at once: small enough for a processor's cache.
BLOCK = 2048
# Raised when the same recipe would sound different from before.
VERSION = 1


@dataclass(frozen=True)
class Voice:
    """A speaker.

    Attributes:
        pitch: mean fundamental frequency in Hz.
        tract: factor on all resonances (a short vocal tract has a large one).
        tempo: factor on durations.
        bright: pre-emphasis of the pulses, 0 (dull) to 1.
        breath: gain of breath noise in vowels.
    """

    pitch: float
    tract: float
    tempo: float
    bright: float
    breath: float


@dataclass(frozen=True)
class Recipe:
    """Input of the synthesiser besides an utterance's phones and spans.

    Attributes:
        seed: of its noises.
        voice: index of the voice.
        pitch: factor on the voice's fundamental frequency at the begin and at the end.
        snr: of the added noise, in decibels under the speech.
    """

    seed: tuple[int, ...]
    voice: int
    pitch: tuple[float, float]
    snr: float


@dataclass(frozen=True)
class Line:
    """A batch on one time line of N frames and P phones (the silences are nobody's).

    Attributes:
        phones: P phone numbers; starts, ends: P in samples.
        voices: P voice numbers.
        first: U first frame of each utterance; samples: U length of each.
        frames: number of frames.
        owner: N utterance of each frame.
    """

    phones: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    voices: np.ndarray
    first: np.ndarray
    samples: np.ndarray
    frames: int
    owner: np.ndarray


@dataclass(frozen=True)
class Synthesiser(SoundReader):
    """Reads utterances whose sound is a `Recipe`. 16-bit samples, `RATE` of them a second."""

    voices: tuple[Voice, ...]

    def identity(self, utterance: Utterance) -> str:
        recipe: Recipe = utterance.sound
        voice = self.voices[recipe.voice]
        return f"{VERSION} {utterance.units} {utterance.spans} {recipe} {voice}"

    def read(self, utterances: Sequence[Utterance]) -> list[np.ndarray]:
        line = _line(utterances)
        noise = _noise(utterances, line)
        speech = _filtered(line, self.voices, _pulses(utterances, line, self.voices), noise[0])
        levels = [one.sound.snr for one in utterances]
        return _cut(speech, noise[1], line, np.asarray(levels))


def _line(utterances: Sequence[Utterance]) -> Line:
    samples = np.array([round(one.seconds * RATE) for one in utterances])
    needed = -(-samples // HOP) + GUARD
    first = np.concatenate([[0], np.cumsum(needed)[:-1]])
    counts = [len(one.units) for one in utterances]
    numbers = {name: number for number, name in enumerate(NAMES)}
    spans = np.array([span for one in utterances for span in one.spans or ()]) * RATE  # P,2
    offset = np.repeat(first * HOP, counts)
    return Line(
        phones=np.array([numbers[unit] for one in utterances for unit in one.units]),
        starts=np.rint(spans[:, 0]).astype(np.int64) + offset,
        ends=np.rint(spans[:, 1]).astype(np.int64) + offset,
        voices=np.repeat([one.sound.voice for one in utterances], counts),
        first=first,
        samples=samples,
        frames=int(needed.sum()),
        owner=np.repeat(np.arange(len(utterances)), needed),
    )


def _noise(utterances: Sequence[Utterance], line: Line) -> np.ndarray:
    """2,N*HOP: noise for the source and noise to be added. Each utterance has its own stream, so
    its sound does not depend on its batch."""
    noise = np.zeros((2, line.frames * HOP), dtype=np.float32)
    for one, first, samples in zip(utterances, line.first, line.samples, strict=True):
        start = first * HOP
        rng = np.random.default_rng(one.sound.seed)
        noise[:, start : start + samples] = rng.standard_normal((2, samples), dtype=np.float32)
    return noise


def _pulses(utterances: Sequence[Utterance], line: Line, voices: Sequence[Voice]) -> np.ndarray:
    """N*HOP: derivative of the glottal flow (Klatt and Klatt 1990: at^2 - bt^3 while open)."""
    base = np.array([voices[one.sound.voice].pitch for one in utterances])
    bend = np.array([one.sound.pitch for one in utterances])  # U,2
    owner = np.repeat(line.owner, HOP)
    since = (np.arange(line.frames * HOP) - (line.first * HOP)[owner]).astype(np.float64)
    samples = line.samples[owner]
    # The frequency falls in a straight line, so its integral, the phase, is a parabola.
    begin, slope = (base * bend[:, 0])[owner], (base * (bend[:, 1] - bend[:, 0]))[owner] / samples
    phase = (begin * since + slope * since**2 / 2) / RATE
    phase -= np.floor(phase)
    opened = (phase / 0.6).astype(np.float32)
    return np.where(opened < 1, 3 * opened * (2 - 3 * opened), 0.0).astype(np.float32)


@dataclass(frozen=True)
class Tracks:
    """Controls per frame: formants N,3 and friction bands N,2 in Hz, gains N,3."""

    formants: np.ndarray
    gains: np.ndarray
    bands: np.ndarray


def _tracks(line: Line, voices: Sequence[Voice]) -> Tracks:
    from scipy.ndimage import uniform_filter1d  # here, since it takes most of a second

    table = phone_table()
    centre = np.arange(line.frames) * HOP + HOP  # a frame is two hops long
    # In a silence the phone before it goes on, without sound; before the first, that one begins.
    place = np.maximum(np.searchsorted(line.starts, centre, side="right") - 1, 0)
    opening = line.owner[np.minimum(line.starts[place] // HOP, line.frames - 1)] != line.owner
    place = np.where(opening, np.minimum(place + 1, len(line.phones) - 1), place)
    sounding = (centre >= line.starts[place]) & (centre < line.ends[place])
    duration = np.maximum(line.ends - line.starts, 1)[place]
    share = (centre - line.starts[place]) / duration
    phone = line.phones[place]
    part = (share >= table.border[phone]).astype(np.int64)
    targets = _targets(line, table)[place, part]  # N,3
    tract = np.array([voice.tract for voice in voices])[line.voices[place]]
    formants = targets * tract[:, None]
    for origin in (0, -1):  # the mean of an even number of frames leans to one side, then back
        formants = uniform_filter1d(formants, GLIDE, axis=0, mode="nearest", origin=origin)
    gains = table.gains[phone, part] * sounding[:, None]
    breath = np.array([voice.breath for voice in voices])[line.voices[place]]
    gains[:, 1] += gains[:, 0] * breath
    return Tracks(formants, gains, table.bands[phone, part] * tract[:, None])


def _targets(line: Line, table: PhoneTable) -> np.ndarray:
    """P,2,3 formant targets; a consonant's second and third give way to the next vowel's, or to
    the one before where none follows."""
    targets = table.formants[line.phones]  # P,2,3
    vowel = table.vowel[line.phones]
    after = np.append(np.arange(1, len(vowel)), len(vowel) - 1)
    before = np.maximum(np.arange(len(vowel)) - 1, 0)
    # The half of the vowel that touches the consonant.
    neighbour = np.where(vowel[after, None], targets[after, 0], targets[before, 1])  # P,3
    give = (table.yielding[line.phones] * ~vowel)[:, None, None] * [0.0, 1.0, 1.0]
    return targets + give * (neighbour[:, None, :] - targets)


def _filtered(
    line: Line, voices: Sequence[Voice], pulses: np.ndarray, noise: np.ndarray
) -> np.ndarray:
    """N*HOP samples of clean speech: source frames times transfer functions, overlap-added."""
    from scipy import fft  # here, since it takes most of a second

    tracks = _tracks(line, voices)
    bright = np.array([voice.bright for voice in voices], dtype=np.float32)
    owner_voice = np.zeros(int(line.owner.max()) + 1, dtype=np.int64)
    owner_voice[line.owner[line.starts // HOP]] = line.voices
    emphasis = bright[owner_voice[line.owner]]  # N
    window = np.hanning(2 * HOP + 1)[:-1].astype(np.float32)
    delay = np.exp(-2j * np.pi * np.arange(SPAN // 2 + 1) / SPAN).astype(np.complex64)
    out = np.zeros(((line.frames + SPAN // HOP), HOP), dtype=np.float32)
    padded = [np.append(source, np.zeros(HOP, dtype=np.float32)) for source in (pulses, noise)]
    for low in range(0, line.frames, BLOCK):
        block = slice(low, min(low + BLOCK, line.frames))
        spectra = []
        for source in padded:
            cut = source[block.start * HOP : (block.stop + 1) * HOP]
            frames = np.lib.stride_tricks.sliding_window_view(cut, 2 * HOP)[::HOP]  # n,2*HOP
            spectra.append(fft.rfft(frames * window, SPAN))
        spectrum = _spectrum(tracks, block, spectra, emphasis[block], delay)
        pieces = fft.irfft(spectrum, SPAN).reshape(-1, SPAN // HOP, HOP)  # n,4,HOP
        for shift in range(SPAN // HOP):
            out[block.start + shift : block.stop + shift] += pieces[:, shift]
    return out[: line.frames].reshape(-1)


def _spectrum(
    tracks: Tracks,
    block: slice,
    spectra: Sequence[np.ndarray],
    emphasis: np.ndarray,
    delay: np.ndarray,
) -> np.ndarray:
    """n,SPAN/2+1 spectra of speech: (pulses + breath) x vocal tract + noise x friction band."""
    pulses, noise = spectra
    gains = tracks.gains[block].astype(np.float32)
    voice, breath, friction = gains[:, :1], gains[:, 1:2], gains[:, 2:]
    emphasis = emphasis[:, None]
    source = voice * pulses * ((1 - emphasis * delay) / (1 - emphasis)) + breath * noise
    tract = np.ones_like(source)
    for number, bandwidth in enumerate((70.0, 100.0, 150.0)):
        frequency = tracks.formants[block, number]
        tract *= _resonator_inverse(frequency, np.full_like(frequency, bandwidth), delay)
    bands = tracks.bands[block]
    hiss = _resonator_inverse(bands[:, 0], bands[:, 1], delay)
    # A resonator lets its centre through with a gain of about frequency / bandwidth.
    peak = (bands[:, 1] / bands[:, 0]).astype(np.float32)[:, None]
    return source / tract + friction * peak * noise / hiss


def _resonator_inverse(
    frequency: np.ndarray, bandwidth: np.ndarray, delay: np.ndarray
) -> np.ndarray:
    """n,F: one over the transfer function of a digital resonator with gain 1 at 0 Hz
    (Klatt 1980, equations 1 and 2): (1 - b z - c z^2) / (1 - b - c)."""
    frequency = np.minimum(frequency, 0.47 * RATE)
    c = -np.exp(-2 * np.pi * bandwidth / RATE)
    b = 2 * np.exp(-np.pi * bandwidth / RATE) * np.cos(2 * np.pi * frequency / RATE)
    a = (1 - b - c).astype(np.float32)[:, None]
    b, c = b.astype(np.float32)[:, None], c.astype(np.float32)[:, None]
    return (1 - delay * (b + c * delay)) / a


def _cut(speech: np.ndarray, noise: np.ndarray, line: Line, snr: np.ndarray) -> list[np.ndarray]:
    """Level each utterance, add its noise, round to 16 bits."""
    owner = np.repeat(line.owner, HOP)
    energy = np.bincount(owner, speech.astype(np.float64) ** 2, minlength=len(line.samples))
    level = np.sqrt(energy / line.samples)
    gain = 0.06 / np.maximum(level, 1e-9)
    added = 0.06 * 10 ** (-snr / 20)
    speech = speech * gain.astype(np.float32)[owner] + noise * added.astype(np.float32)[owner]
    whole = np.rint(np.clip(speech, -1, 1) * 32767) / 32767
    return [
        whole[first * HOP : first * HOP + samples].astype(np.float32)
        for first, samples in zip(line.first, line.samples, strict=True)
    ]
