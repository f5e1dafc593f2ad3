from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from ablations.progress import (
    LineRenderer,
    Progress,
    StatusWriter,
    TableRenderer,
    Tally,
    renderer_for,
)
from ablations.trial_interface import Outcome
from ablations.trial_progress import TrialProgress
from bench.store.store import Store

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
    assert counts.seconds_left(110) == (5 + 5 + 10) / 2, "slow cells go on for a while"


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


def test_the_time_left_is_known_once_steps_are() -> None:
    counts = tally(slots=2)
    counts.started("a", 0)
    counts.advanced("a", TrialProgress("preparing"), 1)
    assert counts.seconds_left(2) is None
    counts.advanced("a", TrialProgress("training", 50, 100, rate=10.0), 12)
    # Training ends at 17 s, which is 85 % of the trial; three wait and take as long.
    assert counts.seconds_left(12) == pytest.approx((8 + 3 * 20) / 2)
    assert counts.seconds_left(15) == pytest.approx((5 + 3 * 20) / 2), "time passes"


def test_a_trial_that_tests_takes_what_tests_took_before() -> None:
    counts = Tally({"a": "cell a", "b": "cell b"}, slots=1)
    counts.started("a", 0)
    counts.advanced("a", TrialProgress("testing", 100, 100), 6)
    counts.finished(DONE, 10)
    counts.started("b", 10)
    counts.advanced("b", TrialProgress("training", 50, 100, rate=2.0), 40)
    assert counts.seconds_left(40) == pytest.approx((30 + 25) / 0.6 - 30)
    counts.advanced("b", TrialProgress("testing", 100, 100), 70)
    assert counts.seconds_left(75) == pytest.approx(60 / 0.6 - 65)
    assert counts.seconds_left(310) == 15, "not about to end for minutes"


def test_a_sweep_takes_as_long_as_its_longest_trial() -> None:
    counts = Tally({"a": "cell a", "b": "cell b"}, slots=2)
    counts.finished(DONE, 10)
    counts.started("b", 10)
    counts.advanced("b", TrialProgress("training", 1, 101, rate=1.0), 11)
    assert (counts.seconds_left(11) or 0) > 100


def test_what_cells_like_these_took_is_expected() -> None:
    counts = tally(slots=1, expected={"a": 5.0, "b": 20.0, "c": 30.0})
    assert counts.seconds_left(0) is None, "nothing is known of d"
    counts.started("d", 0)
    counts.advanced("d", TrialProgress("training", 50, 100, rate=10.0), 12)
    assert counts.seconds_left(12) == pytest.approx(8 + 55)


def test_what_budgets_note_counts_at_the_pace_of_this_machine() -> None:
    counts = tally(slots=1, expected={"d": 7.0}, noted={"a": 5.0, "b": 20.0, "c": 30.0, "d": 1.0})
    counts.started("a", 0)
    counts.advanced("a", TrialProgress("training", 1, 100, rate=1.0), 1)
    left = pytest.approx(100 / 0.85 - 1 + 20 + 30 + 7)
    assert counts.seconds_left(1) == left, "a cell that is slow says nothing of other data"
    counts.finished(DONE, 10)
    assert counts.seconds_left(10) == 2 * (20 + 30) + 7, "ten seconds where five are noted"


def test_a_table_and_a_status_say_where_trials_stand(tmp_path: Path) -> None:
    store = Store.open(tmp_path, create=True)
    writer = StatusWriter(store, "one", "study", list)
    progress = Progress(tally(), [writer], Clock())
    progress.ready(1)
    progress.started("a")
    progress.advanced("a", TrialProgress("training", 120, 600, 3.2149, 14.26))
    stands = "step 120 of 600, 14.3 steps/s, loss 3.21"
    status = writer.status(progress.tally, 1.0, "running")
    assert [trial.stands for trial in status.running] == [stands]
    console = Console(file=io.StringIO(), width=120)
    console.print(TableRenderer(io.StringIO()).picture(progress.tally, 1.0))
    assert stands in console.file.getvalue()  # type: ignore[attr-defined]


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


def test_a_note_stands_in_one_line_however_narrow_the_terminal_is() -> None:
    for renderer in (LineRenderer, TableRenderer):
        stream = io.StringIO()
        progress = Progress(tally(), [renderer(stream)])
        note = "Ray's dashboard: http://127.0.0.1:8265 (asks for the token " + "0" * 64 + ")"
        progress.note(note)
        assert stream.getvalue() == note + "\n"


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
