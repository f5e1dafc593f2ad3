"""The attention explorer of a setting: a page that draws attention from data which it loads when
they are looked at, one file an example (`reports.attention_maps.compact`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from bench.errors import UsageError
from bench.store.result import SourceKind, Trace
from reports.attention_maps.compact import example_data, script
from reports.attention_maps.sources import gold_of
from reports.load import BenchmarkSetting
from reports.pages.predictions import Key, Outputs, Prediction, read_outputs
from reports.statistics import Analysis

if TYPE_CHECKING:
    from bench.store.store import Store

#: At most so many mechanisms, best first, and examples of a test set, so that sites stay small.
CONTENDERS, EXAMPLES = 16, 12
#: Examples that the pages of the task and of its mechanisms name.
_FROM_MAIN, _FROM_OTHERS = 2, 1
_READABLE = 16  # source words that fit a phone

_LOOKS = {
    "words": (
        "Source units from left to right, output units from top to bottom: a row shows what one "
        "output unit was made of, the darker the more. Or the source as a text, in which the "
        "chosen output unit shades what it looked at."
    ),
    "frames": (
        "Time runs from left to right: the spectrogram, and below it a row for each output unit "
        "that shows where it listened, the darker the more."
    ),
    "grid": (
        "For each output word the picture, dark where the word does not look: the brightest place "
        "has its largest weight."
    ),
}


def read_traces(store: Store, hash: str) -> tuple[list[Trace], str]:
    """Return the attention traces that a store keeps of a result, and why they are unusable, if
    they are."""
    try:
        rows = store.traces(hash)
    except KeyError:
        return [], ""
    except UsageError as error:
        return [], f"its traces are unusable ({error})"
    try:
        return [Trace.from_json(row) for row in rows], ""
    except (KeyError, ValueError, TypeError, AssertionError) as error:
        return [], f"its traces are unusable ({error})"


@dataclass(frozen=True)
class ExplorerExample:
    """One example of the explorer: its texts, and what every mechanism wrote.

    Attributes:
        name: `test/3`, as in the page's address.
        file: the file that has its attention, below the site's folder.
        source: "" where it is no text.
        outputs: by mechanism; of those that attend as of those that do not.
        traced: the mechanisms whose attention is kept.
        gold: whether a gold alignment is known.
        listed: whether pages of the task and its mechanisms name it.
    """

    name: str
    file: str
    kind: SourceKind
    source: str
    references: tuple[str, ...]
    outputs: Mapping[str, Prediction]
    traced: tuple[str, ...]
    gold: bool
    listed: bool

    @property
    def title(self) -> str:
        subset, _, example = self.name.partition("/")
        return f"Example {example} of the test set “{subset}”"

    @property
    def label(self) -> str:
        """A name for lists: that in the test set, and its text."""
        example = self.name.partition("/")[2]
        text = self.source or next(iter(self.references), "")
        return f"{example}: {text}" if text else example


@dataclass(frozen=True)
class Explorer:
    """The explorer of one setting.

    Attributes:
        mechanisms: names of those that can be chosen, best first.
        examples: those of the main test set first.
        files: contents of the examples' files.
        problems: by mechanism, why its attention cannot be shown.
        left_out: how many mechanisms are not among those shown.
    """

    href: str
    setting: BenchmarkSetting
    mechanisms: tuple[str, ...]
    examples: tuple[ExplorerExample, ...]
    files: Mapping[str, str]
    problems: Mapping[str, str]
    left_out: int

    @property
    def hint(self) -> str:
        """How to read the maps; and what frames mean, where there is gold to be framed."""
        looks = _LOOKS[self.examples[0].kind] if self.examples else ""
        gold = any(one.gold for one in self.examples)
        return f"{looks} Orange frames mark the gold alignment." if gold else looks

    @property
    def by_test_set(self) -> dict[str, list[ExplorerExample]]:
        found: dict[str, list[ExplorerExample]] = {}
        for one in self.examples:
            found.setdefault(one.name.partition("/")[0], []).append(one)
        return found

    @property
    def notes(self) -> tuple[str, ...]:
        notes = [f"{name}: {why}" for name, why in self.problems.items()]
        if self.left_out:
            shown = CONTENDERS + self.left_out
            notes.append(f"The explorer has the {CONTENDERS} best of {shown} mechanisms.")
        return tuple(notes)

    def view(self, example: ExplorerExample, mechanism: str = "") -> str:
        """Return the link to a view: an example, and a mechanism where one is named."""
        state = {"example": example.name, **({"panel": f"{mechanism};;"} if mechanism else {})}
        return f"{self.href}#{urlencode(state)}"


def explorer(analysis: Analysis, store: Store) -> tuple[Explorer, dict[int, Outputs]]:
    """Read what the explorer of an analysis shows, and what its leading contenders wrote, by their
    places."""
    frame, main_test_set = analysis.frame, analysis.main.subset
    finished = sum(bool(one.done) for one in frame.contenders)
    shown: dict[str, Mapping[Key, Sequence[Trace]]] = {}  # traces of the first seed, by mechanism
    problems: dict[str, str] = {}
    for contender in (frame.contenders[place] for place in [*analysis.leading][:CONTENDERS]):
        traces, problem = read_traces(store, contender.done[0].hash)
        if problem:
            problems[contender.name] = problem
        shown[contender.name] = _by_example(traces)
    keys = choose_examples(
        (trace for one in shown.values() for own in one.values() for trace in own), main_test_set
    )
    outputs = {
        place: read_outputs(store, frame.contenders[place].done[0].hash, main_test_set, {*keys})
        for place in analysis.leading
    }
    texts = {
        name: outputs[place].of_examples
        for name, place in zip(shown, analysis.leading, strict=False)
    }
    slug = frame.setting.slug
    examples, files = [], {}
    named: Counter[str] = Counter()
    for place, key in enumerate(keys):
        own = [(name, trace) for name, one in shown.items() for trace in one.get(key, ())]
        named[key[0]] += 1
        written = {name: one[key] for name, one in texts.items() if key in one}
        kind, text = own[0][1].kind, next(iter(written.values()), None)
        # Sounds and pictures have only names.
        words = " ".join(map(str, own[0][1].source)) if kind == "words" else ""
        example = ExplorerExample(
            name="/".join(key),
            file=f"attention/{slug}/{place}.js",
            kind=kind,
            source=text.shown_source if text else words,
            references=text.references[:3] if text else (),
            outputs=written,
            traced=tuple(dict.fromkeys(name for name, _ in own)),
            gold=any(gold_of(one) for _, one in own),
            listed=named[key[0]] <= (_FROM_MAIN if key[0] == main_test_set else _FROM_OTHERS),
        )
        examples.append(example)
        facts = {
            "texts": [["source", example.source]] * bool(example.source)
            + [["reference", text] for text in example.references],
            "scores": {name: one.score for name, one in written.items()},
        }
        files[example.file] = script(example.name, example_data(own, facts))
    traced = {name for one in examples for name in one.traced}
    found = Explorer(
        f"attention-{slug}.html",
        frame.setting,
        tuple(name for name in shown if name in traced),
        tuple(examples),
        files,
        problems,
        finished - len(shown),
    )
    return found, outputs


def choose_examples(traces: Iterable[Trace], main_test_set: str) -> list[Key]:
    """Choose up to `EXAMPLES` examples of each test set, the main one first: those with gold
    alignments first, then those traced for most mechanisms, then those short enough to be read."""
    traces = list(traces)
    seen = Counter((trace.subset, trace.example) for trace in traces)
    first = {(trace.subset, trace.example): trace for trace in reversed(traces)}
    chosen: list[Key] = []
    subsets = sorted({subset for subset, _ in seen}, key=lambda name: (name != main_test_set, name))

    def merit(key: Key) -> tuple[bool, int, int, int, Key]:
        length = len(first[key].source)
        # How many units are too many for a phone, then the longer of the short ones first.
        return not first[key].gold, -seen[key], max(0, length - _READABLE), -length, key

    for subset in subsets:
        chosen += sorted((key for key in seen if key[0] == subset), key=merit)[:EXAMPLES]
    return chosen


def _by_example(traces: Iterable[Trace]) -> dict[Key, list[Trace]]:
    """Group traces by example; those in which nothing attends to anything are left out."""
    found: dict[Key, list[Trace]] = {}
    for trace in traces:
        if trace.source and trace.target:
            found.setdefault((trace.subset, trace.example), []).append(trace)
    return found
