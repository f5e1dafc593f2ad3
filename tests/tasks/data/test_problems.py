"""Problems: counted by kind, told all."""

from __future__ import annotations

from bench.errors import UsageError
from tasks.data.problems import Problem, interleaved, summary


def problem(kind: str, number: int) -> Problem:
    return Problem(f"bad {number}", f"{kind}:{number}", kind)


def test_a_summary_counts_the_like_and_names_the_first() -> None:
    several = [problem("lines", 1), problem("files", 1), problem("lines", 2)]
    assert str(summary(several)) == "lines:1: 2 lines, the first: bad 1"
    assert str(summary(several[1:])) == "files:1: bad 1"


def test_kinds_take_turns_and_nothing_is_said_twice() -> None:
    several = [problem("a", 1), problem("a", 2), problem("a", 2), problem("b", 1), problem("a", 3)]
    assert interleaved(several) == ["a:1: bad 1", "b:1: bad 1", "a:2: bad 2", "a:3: bad 3"]
    assert interleaved([]) == []


def test_an_error_becomes_a_problem_with_the_same_line() -> None:
    error = UsageError("bad", where="f:1", remedy="mend it")
    assert str(Problem.of(error, "lines")) == str(error)
