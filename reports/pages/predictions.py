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

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Prediction:
        """A stored row, of which anything may be missing or malformed."""
        subset, example, source, text = (
            str(row.get(name, "")) for name in ("subset", "example", "source", "prediction")
        )
        score = row.get("score")
        references = tuple(map(str, row.get("references") or ()))
        known = float(score) if isinstance(score, int | float) else None
        return cls(subset, example, source, references, text, known)

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
    every = [Prediction.of(row) for row in rows]
    scored = [one for one in every if one.subset == main_test_set and one.score is not None]
    scored.sort(key=lambda one: (-(one.score or 0.0), -len(one.source), one.example))
    count = min(ENDS, len(scored) // 2)
    return Outputs(
        tuple(scored[:count]),
        tuple(scored[: -count - 1 : -1]) if count else (),
        {one.key: one for one in every if one.key in wanted},
    )
