"""Error rates: equal to the textbook and to torchmetrics, per utterance and in sum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.text import char_error_rate, word_error_rate

from tasks.evaluation import sequence_alignment
from tasks.evaluation.bootstrap import by_length, ratio
from tasks.evaluation.sequence_alignment import edit
from tasks.speech.evaluate import score

_UNITS = st.sampled_from(["a", "b", "sh", "t"])
_PAIRS = st.lists(
    st.tuples(st.lists(_UNITS, max_size=9), st.lists(_UNITS, min_size=1, max_size=9)),
    min_size=1,
    max_size=12,
)


def _distance(hypothesis: list[str], reference: list[str]) -> int:
    row = list(range(len(hypothesis) + 1))
    for i, unit in enumerate(reference, start=1):
        above, row = row, [i]
        for j, other in enumerate(hypothesis, start=1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (unit != other)))
    return row[-1]


@given(_PAIRS, st.integers(1, 400))
@settings(max_examples=150, deadline=None)
def test_edits_are_the_textbook_s(pairs: list[tuple[list[str], list[str]]], block: int) -> None:
    hypotheses, references = map(list, zip(*pairs, strict=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sequence_alignment, "BLOCK", block)
        edits = edit(hypotheses, references)
    np.testing.assert_array_equal(edits.errors, [_distance(h, r) for h, r in pairs])
    np.testing.assert_array_equal(edits.lengths, [len(r) for r in references])
    for place, (hypothesis, reference) in enumerate(pairs):
        partner = edits.pairs[place]
        assert len(partner) == len(reference)
        used = partner[partner >= 0]
        assert (np.diff(used) > 0).all()  # an alignment never crosses
        unlike = sum(hypothesis[h] != reference[r] for r, h in enumerate(partner) if h >= 0)
        assert edits.substitutions[place] == unlike
        assert edits.deletions[place] == (partner < 0).sum()
        assert edits.insertions[place] == len(hypothesis) - len(used)


def test_of_equally_few_edits_those_that_pair_equal_units() -> None:
    edits = edit([["p", "i", "a"]], [["p", "a", "t"]])
    np.testing.assert_array_equal(edits.pairs[0], [0, 2, -1])
    assert (edits.errors, edits.substitutions) == (2, 0)


def test_kinds_of_errors() -> None:
    edits = edit([list("axc"), list("abcd"), list("ac"), []], [list("abc")] * 4)
    np.testing.assert_array_equal(edits.substitutions, [1, 0, 0, 0])
    np.testing.assert_array_equal(edits.insertions, [0, 1, 0, 0])
    np.testing.assert_array_equal(edits.deletions, [0, 0, 1, 3])
    np.testing.assert_array_equal(edits.pairs[2], [0, -1, 1])


@given(_PAIRS)
@settings(max_examples=60, deadline=None)
def test_the_corpus_figure_is_torchmetrics_and_the_sums(
    pairs: list[tuple[list[str], list[str]]],
) -> None:
    hypotheses, references = map(list, zip(*pairs, strict=True))
    scores = score(hypotheses, references, "phones")
    theirs = word_error_rate([" ".join(h) for h in hypotheses], [" ".join(r) for r in references])
    assert scores.name == "per" and scores.metrics["per"] == scores.interval.value
    assert scores.interval.value == pytest.approx(float(theirs), rel=1e-6)  # single precision
    sums = scores.edits.statistics.sum(axis=0)
    assert float(ratio(sums)) == pytest.approx(float(theirs), rel=1e-6)
    parts = sum(scores.metrics[kind] for kind in ("substitutions", "insertions", "deletions"))
    assert parts == pytest.approx(float(theirs), rel=1e-6)


def test_characters_have_word_errors_too() -> None:
    references = [list("one two three"), list("four")]
    hypotheses = [list("one too three"), list("for")]
    scores = score(hypotheses, references, "characters")
    texts = ["one too three", "for"], ["one two three", "four"]
    assert scores.name == "cer"
    assert scores.metrics["cer"] == 2 / 17 == pytest.approx(float(char_error_rate(*texts)))
    assert scores.metrics["wer"] == 2 / 4 == float(word_error_rate(*texts))
    assert scores.metrics["exact"] == 0.0


def test_words() -> None:
    scores = score([["one", "two"], ["six"]], [["one", "two"], ["six", "six"]], "words")
    assert scores.name == "wer" and scores.metrics["wer"] == pytest.approx(0.25)
    assert scores.metrics["deletions"] == 0.25 and scores.metrics["exact"] == 0.5


def test_nothing_written_is_all_deleted() -> None:
    metrics = score([[], []], [["a"], ["a", "b"]], "phones").metrics
    assert metrics["per"] == metrics["deletions"] == 1.0


def test_the_interval_holds_the_figure_and_narrows_with_more_utterances() -> None:
    rng = np.random.default_rng(0)
    references = [[str(unit) for unit in rng.integers(5, size=10)] for _ in range(400)]
    hypotheses = [[u if rng.random() < 0.8 else "x" for u in units] for units in references]
    wide = score(hypotheses[:40], references[:40], "phones").interval
    narrow = score(hypotheses, references, "phones").interval
    assert narrow.low < narrow.value < narrow.high
    assert narrow.high - narrow.low < 0.5 * (wide.high - wide.low)
    assert narrow.low < 0.2 < narrow.high


def test_statistics_serve_the_curve_by_length() -> None:
    references = [["a"] * size for size in (2, 2, 2, 10)]
    hypotheses = [["a"] * size for size in (2, 2, 2, 5)]
    edits = edit(hypotheses, references)
    bins = by_length("test", edits.lengths, edits.statistics, ratio, bins=2)
    assert [(one.low, one.high, one.value) for one in bins] == [(2, 2, 0.0), (3, 10, 0.5)]
