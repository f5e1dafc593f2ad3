"""The board: verified bundles side by side, in settings and over a track of settings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.errors import UsageError
from bench.store.result import Result
from reports.catalogue import Catalogue
from reports.formats import plural
from reports.leaderboard.bundle import BundleReader, Problem, open_bundle, plain
from reports.leaderboard.rules import (
    CLASSES,
    Class,
    Reference,
    ReferenceSetting,
    Rules,
    Track,
    TrackSetting,
)
from reports.leaderboard.verify import Verdict, verify
from reports.load import BenchmarkSetting, Contender, Frame, benchmark_settings, collect
from reports.statistics import Analysis, analyse
from tasks.base import Paths

#: The bundles that come with this installation.
ENTRIES = Path(__file__).parent / "entries"
NO_REFERENCE = "no reference yet for this task"


@dataclass(frozen=True)
class BoardEntry:
    """A mechanism as somebody configured it, with all its results in one bundle.

    Attributes:
        title: of the bundle.
        contender: the mechanism, without its results.
    """

    bundle: str
    title: str
    contender: Contender


@dataclass(frozen=True)
class SettingBoard:
    """The entries of one class in one setting, in the order of the analysis's contenders.

    Attributes:
        reference: what scores are measured by, or the reason why there are none.
    """

    setting: BenchmarkSetting
    entries: tuple[BoardEntry, ...]
    analysis: Analysis
    reference: ReferenceSetting | str


@dataclass(frozen=True)
class ClassBoard:
    """The settings of one class of the leaderboard."""

    kind: Class
    standings: tuple[SettingBoard, ...]

    @property
    def title(self) -> str:
        return CLASSES[self.kind]

    @property
    def entries(self) -> tuple[BoardEntry, ...]:
        return tuple(dict.fromkeys(one for each in self.standings for one in each.entries))

    def standing(self, track: Track, setting: TrackSetting) -> SettingBoard | None:
        """Return the board of one of a track's settings, or None. Of several data one counts: those
        of the reference, or else those that most entries without options have."""
        wanted = track.setting(setting)
        found = [one for one in self.standings if one.setting.on_any_data == wanted]
        return max(found, key=_merit, default=None)


def _merit(standing: SettingBoard) -> tuple[bool, int, int]:
    plain = sum(not entry.contender.options for entry in standing.entries)
    return not isinstance(standing.reference, str), plain, len(standing.entries)


@dataclass(frozen=True)
class RefusedBundle:
    """A bundle that is not on the board, and why."""

    name: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Board:
    """The leaderboard: its classes, the verified bundles and the refused ones."""

    rules: Rules
    reference: Reference | None
    classes: tuple[ClassBoard, ...]
    verdicts: tuple[Verdict, ...]
    refused: tuple[RefusedBundle, ...]

    @property
    def open(self) -> tuple[Problem, ...]:
        """Entries that lack a seed in a setting."""
        return tuple(one for verdict in self.verdicts for one in verdict.open)

    @property
    def summary(self) -> str:
        entries = sum(len(one.entries) for one in self.classes)
        bundles = plural(len(self.verdicts), "bundle")
        refused = f", {plural(len(self.refused), 'bundle')} refused" if self.refused else ""
        lacking = f", {len(self.open)} lack a seed in a setting" if self.open else ""
        return f"{plural(entries, 'entry', 'entries')} of {bundles}{refused}{lacking}"


def entry_files(folder: Path = ENTRIES) -> list[Path]:
    """The bundles that come with this installation. Raises UsageError where there are none."""
    found = sorted(folder.glob("*.zip"))
    if not found:
        raise UsageError(
            "there are no entries yet",
            where=str(folder),
            remedy="name bundles, made by `attnbench leaderboard submit`",
        )
    return found


def build_board(
    paths: Sequence[Path], rules: Rules, reference: Reference | None, data: Paths | None
) -> Board:
    """Verify the bundles and rank those that pass.

    Args:
        data: where they are; None verifies by statistics alone (`verify`).

    Whatever keeps a bundle from being verified here keeps it off the board and stops no other.
    """
    verdicts: dict[str, Verdict] = {}
    refused: list[RefusedBundle] = []
    for path in paths:
        try:
            bundle = open_bundle(path, rules.limits)
            if bundle.id in verdicts:
                raise UsageError(f"the same bundle as {verdicts[bundle.id].bundle.path.name}")
            verdict = verify(bundle, rules, data)
        except UsageError as error:
            refused.append(RefusedBundle(path.name, (str(error),)))
            continue
        if verdict.is_verified:
            verdicts[bundle.id] = verdict
        else:
            name = f"{path.name} ({plain(bundle.manifest.name)})"
            refused.append(RefusedBundle(name, tuple(map(str, verdict.problems))))
    return assemble(tuple(verdicts.values()), rules, reference, tuple(refused))


def assemble(
    verdicts: Sequence[Verdict],
    rules: Rules,
    reference: Reference | None,
    refused: Sequence[RefusedBundle] = (),
) -> Board:
    """Build the board from verified bundles."""
    counted = {one.bundle.id: tuple(one.counted(rules).values()) for one in verdicts}
    every = [result for results in counted.values() for result in results]
    catalogue = rules.catalogue(result.cell for result in every)
    settings = benchmark_settings(every, catalogue)
    found = []
    for kind in rules.classes:
        own = [one for one in verdicts if one.bundle.manifest.kind == kind]
        found.append(_class_board(kind, own, counted, settings, reference, catalogue))
    classes = tuple(one for one in found if one.standings)
    return Board(rules, reference, classes, tuple(verdicts), tuple(refused))


def _class_board(
    kind: Class,
    verdicts: Sequence[Verdict],
    results: Mapping[str, Sequence[Result]],
    settings: Mapping[str, BenchmarkSetting],
    reference: Reference | None,
    catalogue: Catalogue,
) -> ClassBoard:
    """Build the board of a class.

    Args:
        results: that count, by bundle.
        settings: of the results of all bundles, by hash.
    """
    read = BundleReader({one.bundle.id: one.bundle for one in verdicts})
    found: dict[BenchmarkSetting, list[tuple[BoardEntry, Contender]]] = defaultdict(list)
    for verdict in verdicts:
        bundle = verdict.bundle
        for frame in collect("", results[bundle.id], catalogue, settings=settings).frames:
            for one in frame.contenders:
                alone = replace(one, done=(), failed=(), shared=frozenset())
                entry = BoardEntry(bundle.id, bundle.manifest.name, alone)
                found[frame.setting].append((entry, one))
    order = list(catalogue.tasks)
    standings = []
    ordered = [one for one in dict.fromkeys(settings.values()) if one in found]
    for setting in sorted(ordered, key=lambda one: (order.index(one.task), one.on_any_data.slug)):
        entries, contenders = zip(*found[setting], strict=True)
        frame = Frame(setting, contenders)
        analysis = analyse(frame, read)
        standings.append(
            SettingBoard(setting, entries, analysis, _reference(frame, read, reference))
        )
    return ClassBoard(kind, tuple(standings))


def _reference(
    frame: Frame, read: BundleReader, reference: Reference | None
) -> ReferenceSetting | str:
    known = reference.of(frame.setting) if reference else ()
    if not known:
        return NO_REFERENCE
    found = next((one for one in known if one.data in ("", frame.data)), None)
    if found is None:
        return "the reference was measured on other data"
    if found.metric != frame.main_metric:
        return f"the reference is of {found.metric}"
    if found.test_set != read.main_test_set(frame.done[0].hash):
        return "the reference was measured on other test examples"
    return found
