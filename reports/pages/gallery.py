"""The gallery of a page: selected examples with every mechanism's output and attention map."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bench.errors import UsageError
from bench.store.result import Mode, SourceKind, Trace
from reports.attention_maps import attention_map
from reports.attention_maps.drawing import Drawing, Group, Text, text_width
from reports.load import Contender, Frame
from reports.tables import cell_page_name

if TYPE_CHECKING:
    from bench.store.store import Store

Key = tuple[str, str]  # test set, example

#: What a model does while its attention is traced.
DOING: dict[Mode, str] = {"free": "decoding freely", "forced": "reading the reference"}

#: At most so many mechanisms a page, best first, so that pages stay small.
CONTENDERS = 16
_FROM_MAIN, _FROM_OTHERS = 2, 1
_READABLE = 16  # source words that fit a phone

_LOOKS = {
    "words": (
        "Source units from left to right, target units from top to bottom: a row shows what one "
        "target unit was made of, the darker the more."
    ),
    "frames": (
        "Time runs from left to right. Above, the spectrogram and the true spans of the units; "
        "below, a row for each unit shows where it listened, the darker the more."
    ),
    "grid": (
        "For each word the picture, dark where the word does not look: the brightest place has "
        "its largest weight. A word in bold belongs to a phrase whose place is known."
    ),
}


def reading_hint(kind: str) -> str:
    """Explain how to read attention maps over words, frames or a grid."""
    return _LOOKS[kind]


@dataclass(frozen=True)
class AttentionMap:
    """The attention of one contender on one example; `href` is its page."""

    contender: str
    drawing: Drawing
    href: str = ""

    def named(self) -> Drawing:
        """The map with the contender's name above it, for files of their own."""
        name = Text(0, 12, self.contender, size=12, bold=True)
        width = max(self.drawing.width, text_width(self.contender, 12) + 8)
        shapes = (name, Group(self.drawing.shapes, dy=20))
        return Drawing(width, self.drawing.height + 20, shapes, self.drawing.title)


@dataclass(frozen=True)
class Prediction:
    """A stored prediction: the texts of its example and, where it has one, its score."""

    subset: str
    example: str
    source: str
    references: tuple[str, ...]
    text: str
    score: float | None

    @property
    def key(self) -> Key:
        return self.subset, self.example

    @property
    def tells_source(self) -> bool:
        """Whether the source is a text, and not just the name of a recording or a picture."""
        return self.source != self.example

    @property
    def shown_source(self) -> str:
        """The source text, "" where there is only a name."""
        return self.source if self.tells_source else ""


def read_predictions(store: Store, hash: str) -> tuple[list[Prediction], tuple[str, ...]]:
    """Return the predictions that a store keeps of a result, and a note where there are none or
    they are unusable."""
    try:
        rows = store.predictions(hash)
    except KeyError:
        return [], ("No predictions are kept.",)
    except UsageError as error:
        return [], (str(error),)
    found = [
        Prediction(
            str(row.get("subset", "")),
            str(row.get("example", "")),
            str(row.get("source", "")),
            tuple(str(text) for text in row.get("references") or ()),
            str(row.get("prediction", "")),
            float(score) if isinstance(score := row.get("score"), int | float) else None,
        )
        for row in rows
    ]
    return found, ()


def read_traces(store: Store, hash: str) -> tuple[list[Trace], tuple[str, ...]]:
    """Return the attention traces that a store keeps of a result, and a note where they are
    unusable."""
    try:
        rows = store.traces(hash)
    except KeyError:
        return [], ()
    except UsageError as error:
        return [], (f"its traces are unusable ({error})",)
    try:
        return [Trace.from_json(row) for row in rows], ()
    except (KeyError, ValueError, TypeError, AssertionError) as error:
        return [], (f"its traces are unusable ({error})",)


@dataclass(frozen=True)
class GalleryExample:
    """One example: its texts, what every contender wrote, and the attention maps by mode.

    Attributes:
        source: "" where it is no text.
        outputs: name of the contender and what it wrote.
    """

    subset: str
    example: str
    source: str
    references: tuple[str, ...]
    outputs: tuple[tuple[str, Prediction], ...]
    free: tuple[AttentionMap, ...]
    forced: tuple[AttentionMap, ...]
    gold: bool
    kind: SourceKind = "words"

    @property
    def title(self) -> str:
        return f"Example {self.example} of the test set “{self.subset}”"


@dataclass(frozen=True)
class _TracedContender:
    """A contender with the traces of its first seed."""

    contender: Contender
    traces: dict[tuple[Key, Mode], Trace]
    href: str


def gallery(
    frame: Frame, order: Sequence[int], main_test_set: str, store: Store
) -> tuple[tuple[GalleryExample, ...], tuple[str, ...]]:
    """Return the examples shown for a frame, and notes on what could not be shown.

    Args:
        order: places of the contenders, best first.
        main_test_set: name of the test set that comes first.
    """
    notes: list[str] = []
    contenders = [frame.contenders[place] for place in order if frame.contenders[place].done]
    if len(contenders) > CONTENDERS:
        notes.append(f"Shown are the {CONTENDERS} best of {len(contenders)} mechanisms.")
    shown = []
    for contender in contenders[:CONTENDERS]:
        traces, problem = read_traces(store, contender.done[0].hash)
        notes += [f"{contender.name}: {why}" for why in problem]
        if not problem:
            href = cell_page_name(frame.setting, contender)
            by_example = {((one.subset, one.example), one.mode): one for one in traces}
            shown.append(_TracedContender(contender, by_example, href))
    keys = choose_examples((trace for one in shown for trace in one.traces.values()), main_test_set)
    written = {}
    for one in shown:
        found, _ = read_predictions(store, one.contender.done[0].hash)
        written[one.contender.name] = {text.key: text for text in found if text.key in keys}
    exhibits = [_exhibit(key, shown, written) for key in keys]
    # The pages of the mechanisms have both readings of every example; here they would weigh most.
    later = [replace(one, forced=()) if one.free else one for one in exhibits[1:]]
    return (*exhibits[:1], *later), tuple(notes)


def choose_examples(traces: Iterable[Trace], main_test_set: str) -> list[Key]:
    """Choose two examples of the main test set and one of each other: those with gold alignments
    first, then those traced for most mechanisms, then those short enough to be read."""
    traces = list(traces)
    seen = Counter((trace.subset, trace.example) for trace in traces)
    first = {(trace.subset, trace.example): trace for trace in reversed(traces)}
    chosen: list[Key] = []
    subsets = sorted({subset for subset, _ in seen}, key=lambda name: (name != main_test_set, name))

    def merit(key: Key) -> tuple[bool, int, int, int, Key]:
        length = len(first[key].source)
        # How many units are too many for a phone, then the longer of the short ones first.
        return first[key].gold is None, -seen[key], max(0, length - _READABLE), -length, key

    for subset in subsets:
        keys = sorted((key for key in seen if key[0] == subset), key=merit)
        chosen += keys[: _FROM_MAIN if subset == main_test_set else _FROM_OTHERS]
    return chosen


def _exhibit(
    key: Key, shown: Sequence[_TracedContender], written: dict[str, dict[Key, Prediction]]
) -> GalleryExample:
    outputs = [(name, texts[key]) for name, texts in written.items() if key in texts]
    text = outputs[0][1] if outputs else None
    held = [trace for one in shown for (at, _), trace in one.traces.items() if at == key]
    return GalleryExample(
        subset=key[0],
        example=key[1],
        source=text.shown_source if text else source_text(held[0]),
        references=text.references if text else (),
        outputs=tuple(outputs),
        free=_maps(key, "free", shown),
        forced=_maps(key, "forced", shown),
        gold=any(trace.gold for trace in held),
        kind=held[0].kind if held else "words",
    )


def source_text(trace: Trace) -> str:
    """Return the words of the source; "" for sounds and pictures, which have only a name."""
    return " ".join(trace.source) if trace.kind == "words" else ""


def _maps(key: Key, mode: Mode, shown: Sequence[_TracedContender]) -> tuple[AttentionMap, ...]:
    return tuple(
        whole_map(trace, one.contender.name, one.contender.name, one.href)
        for one in shown
        if (trace := one.traces.get((key, mode))) is not None and trace.source and trace.target
    )


def whole_map(trace: Trace, name: str, caption: str, href: str = "") -> AttentionMap:
    """Draw the attention of a contender over the heads and layers of one trace."""
    return AttentionMap(
        caption, attention_map(trace, f"Attention of {name}, {DOING[trace.mode]}"), href
    )
