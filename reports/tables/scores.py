"""The attention x score matrix, and what all tables of a frame share: entries, rows and notes.

With few seeds a tie group can hold mechanisms that lie far apart. Its notes say so: sharing a group
is for want of evidence, and no claim that its members are equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bench.attention.registries import NO_SCORE
from bench.store.result import Result
from reports import formats
from reports.catalogue import Catalogue
from reports.load import Contender, Options, options_text, value_text
from reports.results import failure_text
from reports.statistics import Analysis, SubsetEstimates
from reports.statistics.baselines import baselines
from reports.statistics.significance import Estimate
from reports.tables import (
    Column,
    Entry,
    Label,
    Missing,
    Number,
    Row,
    Table,
    basis_note,
    better_of,
    contender_href,
    estimate_entry,
    mean_known,
    measured,
    shades,
)
from tasks.data.overlap import OVERLAP

#: What stands beside figures of which another seed is unknown.
ONE_SEED = "With one seed, what varies most, another seed, has not been measured."
#: Heading over the rows of a table of contenders.
CONTENDER = "attention + score"


def score_matrix(analysis: Analysis, catalogue: Catalogue) -> Table:
    """Build the attention x score matrix of the main metric; every pair without a figure has the
    reason."""
    frame = analysis.frame
    metric = formats.title(frame.main_metric) or "Main metric"
    summaries = {entry.name: entry.summary for entry in catalogue.scores}
    run = [one.score for one in frame.contenders if one.score != NO_SCORE]
    columns = list(dict.fromkeys([*summaries, *run]))
    entries = main_entries(analysis)
    rows = [
        _matrix_row(analysis, catalogue, attention, options, columns, entries)
        for attention, options in _matrix_rows(analysis, catalogue)
    ]
    rows += [
        Row(f"baseline: {one.name}", (), "not attention", one.entry(frame.main_metric), apart=True)
        for one in baselines(analysis)
        if one.main_figure(analysis) is not None
    ]
    return Table(
        f"{frame.setting.slug}-scores",
        f"{metric} by attention and score",
        "attention",
        tuple(
            Column(name, name, summaries.get(name, ""), better=better_of(frame)) for name in columns
        ),
        tuple(rows),
        _matrix_notes(analysis, metric),
        spanning_key="no score",
    )


def _matrix_notes(analysis: Analysis, metric: str) -> tuple[str, ...]:
    frame = analysis.frame
    notes = [
        f"{metric}, {'higher' if frame.higher_is_better else 'lower'} is better, on the test set "
        f"“{analysis.main.subset}”; mean over seeds with its 95 % interval."
    ]
    known = [one for one in analysis.main.estimates if one is not None]
    if any(one.basis == "seeds and examples" for one in known):
        notes.append("Intervals cover other seeds and other test examples.")
    elif known:
        notes.append(
            "Intervals cover other test examples only: with one seed nothing is known of what "
            "another one would give."
        )
    notes += group_notes(analysis, [one.name for one in frame.contenders])
    return (*notes, *overlap_notes(frame.done))


def _matrix_rows(analysis: Analysis, catalogue: Catalogue) -> list[tuple[str, Options]]:
    """Return all registered attentions, with a further row for every set of options that was
    run."""
    run = list(dict.fromkeys(one.row for one in analysis.frame.contenders))
    names = [*(entry.name for entry in catalogue.attentions), *(name for name, _ in run)]
    rows: list[tuple[str, Options]] = []
    for name in dict.fromkeys(names):
        rows += [row for row in run if row[0] == name] or [(name, ())]
    return rows


def _matrix_row(
    analysis: Analysis,
    catalogue: Catalogue,
    attention: str,
    options: Options,
    scores: Sequence[str],
    entries: Sequence[Entry],
) -> Row:
    places = {
        one.score: place
        for place, one in enumerate(analysis.frame.contenders)
        if one.row == (attention, options)
    }
    one = analysis.frame.contenders[0]
    label = attention + options_text(one.own(options))
    known = catalogue.attention(attention)
    axes = (("attention", attention), *((name, value_text(value)) for name, value in options))
    if NO_SCORE in places or known.classic_score == NO_SCORE:
        entry = entries[places[NO_SCORE]] if NO_SCORE in places else Missing("not run")
        return Row(label, (), "no score function", entry, axes=axes)
    task = analysis.frame.setting.task
    reasons = [catalogue.refusals.get((task, attention, score)) for score in scores]
    row = tuple(
        entries[places[score]]
        if score in places
        else Missing("not applicable", reason)
        if reason
        else Missing("not run")
        for score, reason in zip(scores, reasons, strict=True)
    )
    return Row(label, row, known.source, axes=axes)


def main_entries(analysis: Analysis) -> list[Entry]:
    """Return each contender's main metric as a shaded entry, or its failure."""
    frame, scores = analysis.frame, analysis.main
    values = [None if one is None else one.value for one in scores.estimates]
    shaded = shades(values, higher_is_better=frame.higher_is_better)
    return [
        failure_entry(contender)
        if estimate is None and contender.failed
        else estimate_entry(
            estimate,
            frame.main_metric,
            group=scores.groups[place],
            shade=shaded[place],
            note=_seed_note(contender, estimate, len(frame.seeds)),
            href=contender_href(analysis, place),
            converged=contender.converged,
        )
        for place, (contender, estimate) in enumerate(
            zip(frame.contenders, scores.estimates, strict=True)
        )
    ]


def _seed_note(contender: Contender, estimate: Estimate | None, tried: int) -> str:
    note = basis_note(estimate) if estimate else ""
    done, failed = len(contender.done), len(contender.failed)
    if failed:
        note = f"{note}; {failed} of {formats.plural(done + failed, 'seed')} failed"
    elif done < tried:
        note = f"{note} (of {formats.plural(tried, 'seed')})"
    if contender.unconverged:
        note = f"{note}; {contender.unconverged} of {formats.plural(done, 'seed')} not converged"
    return note


def failure_entry(contender: Contender) -> Missing:
    """Return the failure of a contender's first failed seed as an entry."""
    reason = failure_text(contender.failed[0])
    assert reason is not None, "a failed result says why"
    return Missing("failed", reason)


def contender_row(analysis: Analysis, place: int) -> Row:
    """Return a contender's row, linked to its page, without entries yet; one spanning entry where
    all its trials failed."""
    one = analysis.frame.contenders[place]
    if one.failed and not one.done:
        return Row(one.name, spanning=failure_entry(one), axes=one.axes)
    href = contender_href(analysis, place)
    return Row(one.name, href=href, converged=one.converged, axes=one.axes)


def contender_table(
    analysis: Analysis,
    name: str,
    title: str,
    columns: Mapping[Column, Sequence[Entry]],
    notes: Iterable[str],
    places: Sequence[int] | None = None,
    after: Iterable[Row] = (),
) -> Table:
    """Build a table of the contenders of a frame.

    Args:
        columns: with an entry for each contender of the frame.
        places: of the contenders that have a row, in this order; by default all, best first.
        after: rows that follow (baselines).
    """
    rows = []
    for place in analysis.order if places is None else places:
        row = contender_row(analysis, place)
        own = () if row.spanning else (_unmarked(entries[place]) for entries in columns.values())
        rows.append(replace(row, entries=tuple(own)))
    name = f"{analysis.frame.setting.slug}-{name}"
    return Table(name, title, CONTENDER, tuple(columns), (*rows, *after), tuple(notes))


def _unmarked(entry: Entry) -> Entry:
    """The entry without the mark that its row has."""
    return replace(entry, converged=None) if isinstance(entry, Number) else entry


def seed_means(
    analysis: Analysis, value: Callable[[Result], float | None], **told: Any
) -> list[Entry]:
    """Return the mean over its seeds of a value of each contender (`mean_entry`)."""
    contenders = analysis.frame.contenders
    return [mean_entry([value(result) for result in one.done], **told) for one in contenders]


def mean_entry(values: Sequence[float | None], **told: Any) -> Entry:
    """Return the mean of the known values as an entry, noting where some seeds have none."""
    mean, known = mean_known(values)
    note = "" if known == len(values) else f"{known} of {formats.plural(len(values), 'seed')}"
    return measured(mean, note=note, **told)


def detectable_note(scores: SubsetEstimates, metric: str) -> list[str]:
    """Note the minimum detectable difference under a table; empty for a single figure."""
    if scores.detectable is None:
        return []
    pairs = int(np.isfinite(scores.adjusted[np.triu_indices(len(scores.adjusted), k=1)]).sum())
    over = f" (Holm's correction over {pairs} pairs)" if pairs > 1 else ""
    if not scores.over_seeds():
        return [
            f"{ONE_SEED} Groups therefore compare the models that were trained, on these examples: "
            f"a true difference of {_gap(scores.detectable, metric)} between two of them on "
            f"“{scores.subset}” is found four times out of five{over}."
        ]
    return [
        f"With {seeds_text(scores)}, a true difference of {_gap(scores.detectable, metric)} on "
        f"“{scores.subset}” is found four times out of five{over}; smaller ones are easily missed."
    ]


def group_notes(analysis: Analysis, names: Sequence[str]) -> list[str]:
    """Note the minimum detectable difference of the main metric, and the spread within group 1.

    Args:
        names: of the frame's contenders.
    """
    notes = detectable_note(analysis.main, analysis.frame.main_metric)
    if notes and len(analysis.main.best()) > 1:
        notes.append(" ".join(_width(analysis, names)))
    return notes


def run_notes(results: Sequence[Result]) -> tuple[str, ...]:
    """Return the notes of trials, each once."""
    return tuple(dict.fromkeys(note for result in results for note in result.provenance.notes))


def overlap_notes(results: Sequence[Result]) -> tuple[str, ...]:
    """Return the notes on examples that held-out data share with training: they belong beside the
    figures, which may be too good."""
    return tuple(
        f"{note[:1].upper()}{note[1:]}." for note in run_notes(results) if note.startswith(OVERLAP)
    )


def seeds_text(*several: SubsetEstimates) -> str:
    """Format the number of seeds: `3 seeds`, or `2 to 3 seeds` where some contenders have fewer."""
    seeds = {one.seeds for scores in several for one in scores.estimates if one is not None}
    least = f"{min(seeds)} to " if len(seeds) > 1 else ""
    return f"{least}{formats.plural(max(seeds), 'seed')}"


def _width(analysis: Analysis, names: Sequence[str]) -> Iterator[str]:
    scores = analysis.main
    seen = scores.over_seeds()
    known = {place: one for place in analysis.order if (one := scores.estimates[place]) is not None}
    members = analysis.group_one
    best, worst = members[0], members[-1]
    span = abs(known[best].value - known[worst].value)
    gap = _gap(span, analysis.frame.main_metric)
    yield f"Sharing a group is not being equal: group 1 spans {gap}."
    for place in known:
        if place == worst:
            return
        # Steadier over seeds, so told apart by a smaller difference.
        if scores.groups[place] != 1 and _reach(known[place]) < _reach(known[worst]):
            yield (
                f"{names[worst]} is in it although {names[place]} "
                f"{'did better' if seen else 'has the better figure'} and is not: "
                "its interval is wider."
            )
            return


def _reach(one: Estimate) -> float:
    return 0.0 if one.low is None or one.high is None else one.high - one.low


def _gap(difference: float, metric: str) -> str:
    if formats.is_fraction(metric):
        return f"{formats.number(100 * difference, 1)} percentage points"
    return formats.metric_text(difference, metric)


def failures_table(contenders: Sequence[Contender], name: str) -> Table | None:
    """Build the table of failed trials with kind and message; None without failures."""
    rows = []
    for contender, result in ((one, each) for one in contenders for each in one.failed):
        failure, cell = result.failure, result.cell
        assert failure is not None, "a failed result says why"
        texts = (cell.task, cell.dataset, str(cell.seed), failure.kind, failure.message)
        rows.append(Row(contender.name, tuple(map(Label, texts)), axes=contender.axes))
    keys = ("task", "data set", "seed", "kind", "message")
    columns = tuple(Column(key, key, text=True) for key in keys)
    return Table(name, "Failed trials", CONTENDER, columns, tuple(rows)) if rows else None
