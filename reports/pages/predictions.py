"""What a mechanism wrote: of its kept predictions those that pages show, in one reading."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.errors import UsageError

if TYPE_CHECKING:
    from bench.store.store import Store

Key = tuple[str, str]  # test set, example

#: Predictions shown from either end.
ENDS = 6


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
    def tells_source(self) -> bool:
        """Whether the source is a text, and not just the name of a recording or a picture."""
        return self.source != self.example

    @property
    def shown_source(self) -> str:
        """The source text, "" where there is only a name."""
        return self.source if self.tells_source else ""


@dataclass(frozen=True)
class Outputs:
    """Predictions of one trained model.

    Attributes:
        best, worst: of the main test set by score, none in both. Among equal scores the longest
            sources count as best and the shortest as worst.
        of_examples: those that were asked for.
        notes: why there are none.
    """

    best: tuple[Prediction, ...] = ()
    worst: tuple[Prediction, ...] = ()
    of_examples: Mapping[Key, Prediction] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_outputs(
    store: Store, hash: str, main_test_set: str, wanted: Collection[Key] = ()
) -> Outputs:
    """Read the predictions that a store keeps of a result; none, with a note, where they are
    unusable."""
    try:
        rows = store.predictions(hash)
    except KeyError:
        return Outputs(notes=("No predictions are kept.",))
    except UsageError as error:
        return Outputs(notes=(str(error),))
    keys = [(_text(row, "subset"), _text(row, "example")) for row in rows]
    scored = [
        (-score, -len(_text(row, "source")), example, place)
        for place, (row, (subset, example)) in enumerate(zip(rows, keys, strict=True))
        if subset == main_test_set and (score := _score(row)) is not None
    ]
    order = [place for *_, place in sorted(scored)]
    count = min(ENDS, len(order) // 2)
    return Outputs(
        tuple(_prediction(rows[place]) for place in order[:count]),
        tuple(_prediction(rows[place]) for place in reversed(order[len(order) - count :])),
        {key: _prediction(row) for row, key in zip(rows, keys, strict=True) if key in wanted},
    )


def _prediction(row: Mapping[str, Any]) -> Prediction:
    subset, example, source, text = (
        _text(row, name) for name in ("subset", "example", "source", "prediction")
    )
    references = tuple(str(one) for one in row.get("references") or ())
    return Prediction(subset, example, source, references, text, _score(row))


def _text(row: Mapping[str, Any], name: str) -> str:
    return str(row.get(name, ""))


def _score(row: Mapping[str, Any]) -> float | None:
    score = row.get("score")
    return float(score) if isinstance(score, int | float) else None
