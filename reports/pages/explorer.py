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
from reports.load import BenchmarkSetting, Contender, Frame

if TYPE_CHECKING:
    from bench.store.store import Store

Key = tuple[str, str]  # test set, example

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


@dataclass(frozen=True)
class _Traced:
    """A contender with the traces of its first seed, by example."""

    name: str
    traces: Mapping[Key, Sequence[Trace]]


def explorer(frame: Frame, order: Sequence[int], main_test_set: str, store: Store) -> Explorer:
    """Read what a frame's explorer shows.

    Args:
        order: places of the contenders, best first.
        main_test_set: name of the test set that comes first.
    """
    contenders = [frame.contenders[place] for place in order if frame.contenders[place].done]
    chosen = contenders[:CONTENDERS]
    shown: list[_Traced] = []
    problems: dict[str, str] = {}
    for contender in chosen:
        traces, problem = read_traces(store, contender.done[0].hash)
        if problem:
            problems[contender.name] = problem
        shown.append(_Traced(contender.name, _by_example(traces)))
    keys = choose_examples(
        (trace for one in shown for own in one.traces.values() for trace in own), main_test_set
    )
    texts = _texts(chosen, keys, store)
    slug = frame.setting.slug
    examples, files = [], {}
    for place, key in enumerate(keys):
        own = [(one.name, trace) for one in shown for trace in one.traces.get(key, ())]
        before = sum(subset == key[0] for subset, _ in keys[:place])
        listed = before < (_FROM_MAIN if key[0] == main_test_set else _FROM_OTHERS)
        example = _example(key, f"attention/{slug}/{place}.js", own, texts.get(key, {}), listed)
        examples.append(example)
        facts = {
            "texts": [["source", example.source]] * bool(example.source)
            + [["reference", text] for text in example.references],
            "scores": {name: one.score for name, one in example.outputs.items()},
        }
        files[example.file] = script(example.name, example_data(own, facts))
    traced = {name for one in examples for name in one.traced}
    return Explorer(
        f"attention-{slug}.html",
        frame.setting,
        tuple(one.name for one in shown if one.name in traced),
        tuple(examples),
        files,
        problems,
        len(contenders) - len(chosen),
    )


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


def _texts(
    contenders: Iterable[Contender], keys: Sequence[Key], store: Store
) -> dict[Key, dict[str, Prediction]]:
    """Read what contenders wrote of some examples, by example and name."""
    wanted = frozenset(keys)
    found: dict[Key, dict[str, Prediction]] = {}
    for contender in contenders if wanted else ():
        for text in read_predictions(store, contender.done[0].hash)[0]:
            if text.key in wanted:
                found.setdefault(text.key, {})[contender.name] = text
    return found


def _example(
    key: Key,
    file: str,
    traces: Sequence[tuple[str, Trace]],
    texts: Mapping[str, Prediction],
    listed: bool,
) -> ExplorerExample:
    trace = traces[0][1]
    text = next(iter(texts.values()), None)
    # Sounds and pictures have only names.
    words = " ".join(map(str, trace.source)) if trace.kind == "words" else ""
    return ExplorerExample(
        name="/".join(key),
        file=file,
        kind=trace.kind,
        source=text.shown_source if text else words,
        references=text.references[:3] if text else (),
        outputs=texts,
        traced=tuple(dict.fromkeys(name for name, _ in traces)),
        gold=any(gold_of(one) for _, one in traces),
        listed=listed,
    )
