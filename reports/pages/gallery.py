"""Which examples are shown, and what every mechanism made of them, side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bench.errors import UsageError
from bench.store.trace import Mode, SourceKind, Trace
from reports.attention_maps import attention_map
from reports.figures import Drawing, Group, Text, text_width
from reports.load import Contender, Frame
from reports.tables import page_of_cell

if TYPE_CHECKING:
    from bench.store.store import Store

Key = tuple[str, str]  # test set, example

#: At most so many mechanisms a page, best first, so that pages stay small.
CONTENDERS = 16
_FROM_HEADLINE, _FROM_OTHERS = 2, 1
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


def looks(kind: str) -> str:
    """How to read pictures of attention over words, frames or a grid."""
    return _LOOKS[kind]


@dataclass(frozen=True)
class Map:
    """What one contender looked at in one example; `href` is its page."""

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
class Output:
    """What one contender wrote, with its score for the example."""

    contender: str
    text: str
    score: float | None


@dataclass(frozen=True)
class Exhibit:
    """One example: its texts, what was written, and the heat maps by mode.

    Attributes:
        source: "" where it is no text.
    """

    subset: str
    example: str
    source: str
    references: tuple[str, ...]
    outputs: tuple[Output, ...]
    free: tuple[Map, ...]
    forced: tuple[Map, ...]
    gold: bool
    kind: SourceKind = "words"

    @property
    def title(self) -> str:
        return f"Example {self.example} of the test set “{self.subset}”"


@dataclass(frozen=True)
class _Shown:
    """A contender's first seed: its traces and predictions of the examples that may be shown."""

    contender: Contender
    traces: dict[tuple[Key, Mode], Trace]
    href: str


def gallery(
    frame: Frame, order: Sequence[int], headline: str, store: Store
) -> tuple[tuple[Exhibit, ...], tuple[str, ...]]:
    """Exhibits, and notes on what could not be shown.

    Args:
        order: places of the contenders, best first.
        headline: name of the test set that comes first.
    """
    notes: list[str] = []
    contenders = [frame.contenders[place] for place in order if frame.contenders[place].done]
    if len(contenders) > CONTENDERS:
        notes.append(f"Shown are the {CONTENDERS} best of {len(contenders)} mechanisms.")
    shown = []
    for contender in contenders[:CONTENDERS]:
        try:
            href = page_of_cell(frame.setting, contender)
            shown.append(_Shown(contender, _traces(store, contender), href))
        except (UsageError, ValueError, KeyError, TypeError) as error:
            notes.append(f"{contender.name}: its traces are unusable ({error})")
    keys = choose((trace for one in shown for trace in one.traces.values()), headline)
    written = {one.contender.name: _written(store, one.contender, keys) for one in shown}
    exhibits = [_exhibit(key, shown, written) for key in keys]
    # The pages of the mechanisms have both readings of every example; here they would weigh most.
    later = [replace(one, forced=()) if one.free else one for one in exhibits[1:]]
    return (*exhibits[:1], *later), tuple(notes)


def choose(traces: Iterable[Trace], headline: str) -> list[Key]:
    """Two examples of the headline test set and one of each other, those with gold first, seen
    by as many mechanisms as possible, and short enough to be read."""
    traces = list(traces)
    seen = Counter((trace.subset, trace.example) for trace in traces)
    first = {(trace.subset, trace.example): trace for trace in reversed(traces)}
    chosen: list[Key] = []
    subsets = sorted({subset for subset, _ in seen}, key=lambda name: (name != headline, name))

    def merit(key: Key) -> tuple[bool, int, tuple[int, int], Key]:
        return first[key].gold is None, -seen[key], _unreadable(first[key]), key

    for subset in subsets:
        keys = sorted((key for key in seen if key[0] == subset), key=merit)
        chosen += keys[: _FROM_HEADLINE if subset == headline else _FROM_OTHERS]
    return chosen


def _unreadable(trace: Trace) -> tuple[int, int]:
    """Too long for a phone by how much, then: the longer of the short ones says more."""
    length = len(trace.source)
    return max(0, length - _READABLE), -length


def _traces(store: Store, contender: Contender) -> dict[tuple[Key, Mode], Trace]:
    try:
        rows = store.traces(contender.done[0].hash)
    except KeyError:
        return {}
    traces = [Trace.from_json(row) for row in rows]
    return {((trace.subset, trace.example), trace.mode): trace for trace in traces}


@dataclass(frozen=True)
class _Written:
    source: str
    references: tuple[str, ...]
    output: Output


def _written(store: Store, contender: Contender, keys: Sequence[Key]) -> dict[Key, _Written]:
    try:
        rows = store.predictions(contender.done[0].hash)
    except (KeyError, UsageError):
        return {}
    wanted = set(keys)
    found = {}
    for row in rows:
        key = str(row.get("subset")), str(row.get("example"))
        if key in wanted:
            score = row.get("score")
            output = Output(
                contender.name,
                str(row.get("prediction", "")),
                float(score) if isinstance(score, int | float) else None,
            )
            references = tuple(str(text) for text in row.get("references") or ())
            found[key] = _Written(str(row.get("source", "")), references, output)
    return found


def _exhibit(key: Key, shown: Sequence[_Shown], written: dict[str, dict[Key, _Written]]) -> Exhibit:
    texts = [
        written[one.contender.name][key]
        for one in shown
        if key in written.get(one.contender.name, {})
    ]
    held = [trace for one in shown for (at, _), trace in one.traces.items() if at == key]
    return Exhibit(
        subset=key[0],
        example=key[1],
        source=told(texts[0].source if texts else source_text(held[0]), key[1]),
        references=texts[0].references if texts else (),
        outputs=tuple(text.output for text in texts),
        free=_maps(key, "free", shown),
        forced=_maps(key, "forced", shown),
        gold=any(trace.gold for trace in held),
        kind=held[0].kind if held else "words",
    )


def told(source: str, example: str) -> str:
    """A source as it is shown: nothing where it goes by the name of its example."""
    return "" if source == example else source


def source_text(trace: Trace) -> str:
    """Words say what they are; sounds and pictures go by their name."""
    return " ".join(trace.source) if trace.kind == "words" else trace.example


def _maps(key: Key, mode: Mode, shown: Sequence[_Shown]) -> tuple[Map, ...]:
    maps = []
    for one in shown:
        trace = one.traces.get((key, mode))
        if trace is not None and trace.source and trace.target:
            name = one.contender.name
            doing = "decoding freely" if mode == "free" else "reading the reference"
            maps.append(Map(name, attention_map(trace, f"Attention of {name}, {doing}"), one.href))
    return tuple(maps)
