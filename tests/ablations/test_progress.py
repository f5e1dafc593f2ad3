from __future__ import annotations

import io

import pytest
from rich.console import Console

from ablations.progress import (
    LineRenderer,
    Progress,
    TableRenderer,
    Tally,
    duration,
    renderer_for,
)
from ablations.trial_interface import Outcome

LABELS = {"a": "cell a", "b": "cell b", "c": "cell c", "d": "cell d"}
DONE = Outcome("a", "done", figure=("BLEU", 31.2345), seconds=10)
FAILED = Outcome("b", "failed", failure=("diverged", "nan"), seconds=2)


class Clock:
    """Time that passes when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def tally(**fields: object) -> Tally:
    return Tally(LABELS, **fields)  # type: ignore[arg-type]


def test_a_tally_counts() -> None:
    counts = tally(stored=3)
    assert counts.line(0) == "3 of 7 done, 0 running"
    counts.started("a", 0)
    counts.started("b", 1)
    assert (counts.waiting, len(counts.running)) == (2, 2)
    counts.finished(DONE, 10)
    counts.finished(FAILED, 11)
    assert counts.line(11) == (
        "4 of 7 done, 0 running, 1 failed, about 12 s left; last: cell b: failed, diverged"
    )


def test_the_time_left_is_shared_by_the_slots_there_are() -> None:
    counts = tally(slots=2)
    assert counts.seconds_left(0) is None
    counts.started("a", 0)
    counts.finished(DONE, 10)
    assert counts.seconds_left(10) == 15  # three cells of 10 s on two slots
    counts.started("b", 10)
    counts.started("c", 10)
    assert counts.seconds_left(14) == (6 + 6 + 10) / 2
    assert counts.seconds_left(100) == 10 / 2, "a slow cell is not expected to end in the past"


def test_the_last_cells_do_not_wait_for_slots_they_do_not_need() -> None:
    counts = tally(slots=8)
    counts.started("a", 0)
    counts.finished(DONE, 10)
    assert counts.seconds_left(10) == 10


def test_a_trial_that_was_stored_meanwhile_takes_the_time_it_took() -> None:
    counts = tally()
    counts.started("a", 5)
    counts.finished(Outcome("a", "done", figure=("BLEU", 1.0)), 6)
    assert counts.seconds == [1]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (42, "42 s"), (100, "2 min"), (3600, "60 min"), (7500, "2 h 05 min")],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_lines_are_few() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = Progress(tally(), [LineRenderer(stream)], clock)
    progress.begin("starting")
    progress.ready(1)
    progress.started("a")
    for clock.now in range(600):  # ten minutes without news
        progress.tick()
    lines = stream.getvalue().splitlines()
    assert lines[0] == "starting"
    assert 10 <= len(lines) <= 12


def test_lines_tell_what_is_new() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = Progress(tally(), [LineRenderer(stream)], clock)
    progress.begin("starting")
    for number, hash in enumerate(LABELS):
        progress.started(hash)
        clock.now = 10 * (number + 1)
        outcome = Outcome(hash, "done", figure=("BLEU", 30.0 + number), seconds=10)
        progress.finished(FAILED if hash == "b" else outcome)
        progress.tick()
    progress.end()
    printed = stream.getvalue()
    assert "1 of 4 done" in printed
    assert printed.count("cell b: failed, diverged\n") >= 1, "failures are told at once"
    assert printed.splitlines()[-1] == "3 of 4 done, 0 running, 1 failed; last: cell d: BLEU 33"


def test_a_terminal_gets_a_table_and_a_file_gets_lines() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert isinstance(renderer_for(io.StringIO()), LineRenderer)
    assert isinstance(renderer_for(Terminal()), TableRenderer)


def rendered(progress: Progress) -> str:
    console = Console(file=io.StringIO(), width=100)
    (renderer,) = progress.renderers
    assert isinstance(renderer, TableRenderer)
    console.print(renderer.picture(progress.tally, progress.clock()))
    printed: str = console.file.getvalue()  # type: ignore[attr-defined]
    return printed


def test_the_table_shows_running_failed_and_last() -> None:
    clock, stream = Clock(), io.StringIO()
    progress = Progress(tally(stored=1, slots=2), [TableRenderer(stream)], clock)
    progress.begin("starting Ray")
    assert "starting Ray" in rendered(progress)
    progress.ready(2)
    progress.started("a")
    progress.started("b")
    clock.now = 10
    progress.finished(DONE)
    progress.finished(FAILED)
    progress.started("c")
    clock.now = 13
    progress.tick()
    printed = rendered(progress)
    assert "2 of 5 done, 1 running, 1 failed, about" in printed
    assert "running" in printed
    assert "3 s  cell c" in printed
    assert "last     cell b: failed, diverged" in printed
    progress.end()
    assert "cell b: failed, diverged" in stream.getvalue(), "failures stay above the table"


def test_a_table_of_many_running_cells_stays_short() -> None:
    labels = {str(number): f"cell {number}" for number in range(100)}
    progress = Progress(Tally(labels), [TableRenderer(io.StringIO())], Clock())
    for hash in labels:
        progress.started(hash)
    printed = rendered(progress)
    assert "and 92 more" in printed
    assert len(printed.splitlines()) < 15


def test_a_reader_that_leaves_ends_the_lines_and_not_the_sweep() -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    heard = io.StringIO()
    progress = Progress(tally(), [LineRenderer(Closed()), LineRenderer(heard)])
    progress.begin("starting")
    progress.finished(FAILED)
    assert heard.getvalue() == "starting\ncell b: failed, diverged\n"
