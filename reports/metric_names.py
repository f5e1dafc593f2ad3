"""What the name of a metric says: of which test set it is, and whether of a control.

Records keep figures in one flat mapping. Names begin with the test set's, for all but the first
(`long_rouge_l`); controls are `control_<what>_<figure>`, or `control_<what>` for the headline
figure; ends of intervals add `_low` and `_high` to their figure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["figure", "bound", "control", "confusion"]

#: Weights that know nothing; speech measures their distances too.
_WEIGHTS = ("uniform", "diagonal", "centre")
#: What is true of the references themselves.
_REFERENCES = "reference"
#: Controls that no model is meant to pass: people, and the references.
CEILINGS = frozenset({"human", "references"})


@dataclass(frozen=True)
class Named:
    """A metric's name, taken apart.

    Attributes:
        key: the whole name.
        subset: the test set's name, "" for the first.
        figure: what is measured, `accuracy`.
        control: whose figure it is, `hypothesis only`; "" for the model's own.
    """

    key: str
    subset: str
    kind: Kind
    figure: str
    control: str = ""


def named(keys: Iterable[str], subsets: Sequence[str], headline: str) -> list[Named]:
    """All names taken apart, in their order.

    Args:
        keys: of the metrics of all results.
        subsets: names of the test sets but the first.
        headline: name of the headline figure.
    """
    keys = list(dict.fromkeys(keys))
    known = set(keys)
    return [_named(key, known, subsets, headline) for key in keys]


def _named(key: str, known: set[str], subsets: Sequence[str], headline: str) -> Named:
    subset = next((name for name in subsets if key.startswith(f"{name}_")), "")
    rest = key.removeprefix(f"{subset}_") if subset else key
    if rest.startswith("control_"):
        control, figure = _control(rest.removeprefix("control_"), known, headline)
        return Named(key, subset, "control", figure, control)
    for name in _WEIGHTS:
        figure = rest.removeprefix(f"{name}_")
        if figure != rest and figure in known:
            return Named(key, subset, "control", figure, f"{name} weights")
    figure = rest.removeprefix(f"{_REFERENCES}_")
    if figure != rest and figure in known:
        return Named(key, subset, "control", figure, "references")
    if rest.startswith("confusion_"):
        return Named(key, subset, "confusion", rest)
    for end in ("_low", "_high"):
        if key.endswith(end) and key.removesuffix(end) in known:
            return Named(key, subset, "bound", rest)
    return Named(key, subset, "figure", rest)


def _control(rest: str, known: set[str], headline: str) -> tuple[str, str]:
    """Name of a control and of its figure."""
    endings = [name for name in known if rest.endswith(f"_{name}")]
    figure = max(endings, key=len, default="")
    control = rest.removesuffix(f"_{figure}") if figure else rest
    return control.replace("_", " "), figure or headline
