"""From rows of a file to pairs: what the readers of sick, snli and people's own files share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.errors import UsageError
from tasks.entailment.corpus import Label, PairExample, Pairs, as_label
from tasks.rows import OnError, Row, fail
from tasks.text.plain import plain_words

#: SNLI marks pairs on which its annotators did not agree so.
NO_GOLD = "-"
#: Share of the training pairs that becomes validation data where none is given.
HELD_OUT = 0.1

LOWER_CASED = "words are lower-cased"


@dataclass(frozen=True)
class Columns:
    """Names of the columns, and the values that stand for the labels (None: their own names)."""

    premise: str
    hypothesis: str
    label: str
    values: Mapping[str, Label] | None = None


@dataclass(frozen=True)
class Read:
    """Pairs of one file or part, and how many were dropped for want of a label."""

    pairs: tuple[PairExample, ...]
    unlabelled: int


def read_pairs(
    rows: Iterable[Row], columns: Columns, prefix: str, on_error: OnError = fail
) -> Read:
    """Pairs with ids `<prefix>-<line>`; those labelled "-" are dropped and counted.

    Args:
        on_error: told of rows with a missing column, an unknown label, an empty sentence.

    Raises UsageError: not one pair can be used.
    """
    pairs: list[PairExample] = []
    unlabelled = 0
    row: Row | None = None
    for row in rows:
        try:
            pair = _pair(row, columns, prefix)
        except UsageError as error:
            on_error(error)
            continue
        if pair is None:
            unlabelled += 1
        else:
            pairs.append(pair)
    if not pairs:
        where = "" if row is None else str(row.path)
        raise UsageError("no pair with a gold label can be used", where=where)
    return Read(tuple(pairs), unlabelled)


def _pair(row: Row, columns: Columns, prefix: str) -> PairExample | None:
    """The pair of a row, or None if it has no gold label."""
    value = row.text(columns.label)
    if value.strip() == NO_GOLD:
        return None
    return PairExample(
        id=f"{prefix}-{row.line}",
        premise=sentence(row, columns.premise),
        hypothesis=sentence(row, columns.hypothesis),
        label=as_label(value, row.where, columns.values),
    )


def sentence(row: Row, column: str) -> tuple[str, ...]:
    """The words of a column. Raises UsageError if there are none."""
    found = plain_words(row.text(column))
    if not found:
        raise UsageError(f"column '{column}' is empty", where=row.where, remedy="remove the line")
    return found


def hold_out(pairs: Sequence[PairExample], where: str) -> tuple[Pairs, Pairs]:
    """Training and validation pairs: the last ones by order of their premise's first appearance.

    No premise is on both sides, since pairs that share one are not independent.

    Raises UsageError naming `where`: fewer than two premises.
    """
    order = {
        premise: place for place, premise in enumerate(dict.fromkeys(p.premise for p in pairs))
    }
    if len(order) < 2:
        raise UsageError("needs two different premises, one to be held out", where=where)
    border = min(round(len(order) * (1 - HELD_OUT)), len(order) - 1)
    train = tuple(pair for pair in pairs if order[pair.premise] < border)
    return train, tuple(pair for pair in pairs if order[pair.premise] >= border)


def dropped_note(unlabelled: int) -> tuple[str, ...]:
    """What a report says of dropped pairs: nothing if there are none."""
    return (f"{unlabelled} pairs without a gold label ('-') dropped",) if unlabelled else ()
