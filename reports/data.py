"""Which results were measured on the same data, and in words what differs between the others.

Two data are the same if their fingerprints are: that of all examples used, in their order. The
name of a data set says less, since files of one's own may change, and so may a limit.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.store.cell import Cell
from bench.store.result import Result, SplitIdentity, split_differences

Splits = Mapping[str, SplitIdentity]

#: Digits of a fingerprint that people are shown.
DIGITS = 8
#: In place of a fingerprint that nobody recorded.
UNKNOWN = "unknown"
# Where a failed result that knows no data is looked for: first among the same cell's other seeds.
_ALIKE: tuple[Callable[[Cell], str], ...] = (
    lambda cell: cell.kind,
    lambda cell: repr((cell.options, cell.data)),
    lambda cell: cell.data,
)


@dataclass(frozen=True)
class DataGroup:
    """The results of a setting that share their data.

    Attributes:
        fingerprint, label: what the data are called where the setting was run on several, else "".
    """

    results: tuple[Result, ...]
    fingerprint: str = ""
    label: str = ""


def fingerprint_of(result: Result) -> str:
    """Return the fingerprint of the data of a result, "" where none was recorded."""
    return result.provenance.data_fingerprint or result.cell.data


def without_data(cell: Cell) -> Cell:
    """Return the cell as it would be on any data: for comparing cells across data."""
    return replace(cell, data="")


def group_by_data(results: Sequence[Result]) -> list[DataGroup]:
    """Group the results of one setting by their data, those measured first coming first.

    A failed result without a fingerprint belongs to the data of its cell's other seeds, of the
    results with its options or of all results, wherever there is only one.
    """
    found: dict[str, list[Result]] = defaultdict(list)
    for result, fingerprint in zip(results, _fingerprints(results), strict=True):
        found[fingerprint].append(result)
    if len(found) < 2:
        return [DataGroup(tuple(results))]
    order = sorted(found, key=lambda one: (not one, _begun(found[one]), one))
    labels = _labels({one: _splits(found[one]) for one in order})
    return [DataGroup(tuple(found[one]), one or UNKNOWN, labels[one]) for one in order]


def _fingerprints(results: Sequence[Result]) -> list[str]:
    known = [fingerprint_of(result) for result in results]
    if all(known) or not any(known):
        return known
    alike: list[dict[str, set[str]]] = [defaultdict(set) for _ in _ALIKE]
    for result, fingerprint in zip(results, known, strict=True):
        for key, by_key in zip(_ALIKE, alike, strict=True):
            by_key[key(result.cell)] |= {fingerprint} - {""}
    return [
        fingerprint or (_only(result.cell, alike) if result.status == "failed" else "")
        for result, fingerprint in zip(results, known, strict=True)
    ]


def _only(cell: Cell, alike: Sequence[Mapping[str, set[str]]]) -> str:
    """Return the one fingerprint among the results most alike to a cell, "" where there are
    several."""
    near = (by_key[key(cell)] for key, by_key in zip(_ALIKE, alike, strict=True))
    return next((next(iter(found)) for found in near if len(found) == 1), "")


def _begun(results: Iterable[Result]) -> str:
    return min(result.provenance.started for result in results)


def _splits(results: Iterable[Result]) -> Splits:
    return next((one.provenance.splits for one in results if one.provenance.splits), {})


def _labels(data: Mapping[str, Splits]) -> dict[str, str]:
    """Label each of several data by its number and what differs from the first; by the beginning
    of its fingerprint, too, where that is nothing or the same as for another."""
    first = next(iter(data.values()))
    told = {fingerprint: differences(first, splits) for fingerprint, splits in data.items()}
    counts = Counter(told.values())
    labels = {}
    for place, (fingerprint, words) in enumerate(told.items(), start=1):
        if not fingerprint:
            words = "not recorded"
        elif place > 1 and (not words or counts[words] > 1):
            words = ", ".join(filter(None, (words, fingerprint[:DIGITS])))
        labels[fingerprint] = f"data {place} of {len(told)}" + (f" ({words})" if words else "")
    return labels


def differences(first: Splits, other: Splits) -> str:
    """Say what differs in the other data: `200 train examples, not 500; other test examples`; ""
    where the splits do not show it or are not known."""
    return "; ".join(split_differences(first, other)) if first and other else ""
