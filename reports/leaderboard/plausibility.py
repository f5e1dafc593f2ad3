"""What records and predictions can say at all, whatever the model is.

What can be worked out again is compared elsewhere (`verify`). What cannot (time, memory,
likelihoods, curves, where a model looked) is its owner's word, and the board says so; but a share
lies between 0 and 1, a perplexity is at least 1, and nothing ends before it begins. Those limits
stand in `POSSIBLE`.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from bench.store.cell import Cell
from bench.store.result import AlignmentFigures, Cost, Result
from reports.leaderboard.bundle import Problem, plain
from reports.leaderboard.checks import named
from tasks.base import Plan, Task
from tasks.evaluation.scoring import Prediction
from tasks.training.convergence import (
    WATCHED,
    Curve,
    best_validation,
    converged,
    out_of_patience,
)

#: What a stated number can be, by its place in a record or in a prediction: the first pattern that
#: fits. Anything else is worked out again or refused as unknown.
POSSIBLE: tuple[tuple[str, float, float], ...] = (
    ("metrics.*perplexity", 1.0, math.exp(50)),
    ("metrics.*_ms", 0.0, 1e9),
    ("metrics.*monotonicity", 0.0, 1.0),
    ("metrics.*mass_on_span", 0.0, 1.0),
    ("metrics.*meteor", 0.0, 1.0),
    ("alignment.*", 0.0, 1.0),  # error rate, mass, accuracy, coverage; of baselines, too
    ("cost.parameters", 1, 1e13),
    ("cost.attention_parameters", 0, 1e13),
    ("cost.*_per_second", 0.0, 1e12),
    ("cost.*seconds", 0.0, 1e9),  # thirty years
    ("cost.peak_memory_bytes", 0, 1e15),
    ("cost.macs_per_example", 0, 1e18),
    ("cost.real_time_factor", 0, 1e9),
    ("curve.*.step", 1, 1e9),
    ("curve.*.seconds", 0.0, 1e9),
    ("curve.*accuracy", 0.0, 1.0),
    ("curve.*loss", 0.0, 1e9),
    ("extra.nll", 0.0, 1e9),
    ("extra.log_prob", -1e9, 0.0),
    ("extra.units", 1, 1e6),
    ("extra.seconds", 0.0, 1e6),
    ("extra.probabilities.*", 0.0, 1.0),
)
#: Stated figures have at least four places.
ROUNDED = 1e-4
#: Characters of one text of a record, and of what a prediction keeps besides its output.
LONGEST, LONGEST_EXTRA = 2_000, 20_000
#: What of a prediction is the model's own, by which two models are told apart.
OWN = ("nll", "log_prob", "probabilities")


def impossible(result: Result, plan: Plan) -> Iterator[str]:
    """What a record says that cannot be, whatever the model is."""
    record = result.model_dump(mode="json", by_alias=True)
    yield from _out_of_range(record, "", ("metrics", "alignment", "cost", "curve"))
    for place, value in _leaves(record):
        if isinstance(value, str) and len(value) > LONGEST:
            yield f"{place} is a text of {len(value):,} characters, {LONGEST:,} are allowed"
    yield from _impossible_times(result)
    yield from _impossible_curve(result, plan)
    for place, figures in _alignments(result):
        yield from (f"{place}: {what}" for what in _impossible_alignment(figures, plan.task))


def impossible_share(cost: Cost, parameters: int) -> Iterator[str]:
    """Whether the attention is larger than the whole model, by its parameters."""
    if (cost.attention_parameters or 0) > parameters:
        yield f"{cost.attention_parameters:,} parameters of its attention, {parameters:,} of all"


def impossible_prediction(row: Prediction) -> Iterator[str]:
    """What a prediction states of its model that cannot be."""
    yield from _out_of_range({"extra": dict(row.extra)}, "", ("extra",))
    size = len(json.dumps(row.extra, ensure_ascii=False))
    if size > LONGEST_EXTRA:
        yield f"extra has {size:,} characters, {LONGEST_EXTRA:,} are allowed"
    stated = row.extra.get("probabilities")
    if isinstance(stated, Mapping) and all(_is_number(one) for one in stated.values()):
        total = sum(stated.values())
        if abs(total - 1) > ROUNDED * len(stated):
            yield f"extra.probabilities add up to {total:.4g}, not 1"


def _out_of_range(record: Mapping[str, Any], prefix: str, parts: Sequence[str]) -> Iterator[str]:
    for place, value in _leaves({part: record[part] for part in parts}, prefix):
        limits = next((ends for name, *ends in POSSIBLE if fnmatchcase(place, name)), None)
        if limits is None or value is None:
            continue
        low, high = limits
        if not _is_number(value):
            yield f"{plain(place)} is not a number"
        elif not low - 1e-9 <= value <= high + 1e-9:
            yield f"{plain(place)} is {value:.6g}; it lies between {low:g} and {high:g}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Numbers, texts and nulls of JSON data with their places, `cost.parameters`."""
    if isinstance(value, Mapping | list | tuple):
        items = value.items() if isinstance(value, Mapping) else enumerate(value, start=1)
        for name, part in items:
            yield from _leaves(part, f"{place}.{name}" if place else str(name))
    else:
        yield place, value


def _impossible_times(result: Result) -> Iterator[str]:
    times = {}
    for name in ("started", "finished"):
        stated = getattr(result.provenance, name)
        try:
            times[name] = datetime.fromisoformat(stated).astimezone(UTC)
        except (ValueError, OverflowError):
            yield f"provenance.{name} is no time: {plain(stated, 40)}"
            continue
        if times[name] > datetime.now(UTC) + timedelta(days=1):  # clocks differ
            yield f"provenance.{name} lies in the future: {plain(stated, 40)}"
    if len(times) == 2 and times["finished"] < times["started"]:
        yield "provenance: it finished before it started"


def _impossible_curve(result: Result, plan: Plan) -> Iterator[str]:
    most = plan.settings.max_steps
    interval = max(1, most // plan.settings.num_validations)
    steps = [point.get("step", math.nan) for point in result.curve]
    if any(math.isnan(step) or step != int(step) for step in steps):
        yield "its curve has a point without a whole number of steps"
        return
    last = max(steps, default=0.0)
    stopped = out_of_patience(_judged(result.curve), plan.settings.patience)
    if not stopped and not most - interval < last <= most:  # validations are that far apart
        yield f"its curve ends at step {last:g}, and training at {most}"
    elif any(later <= earlier for earlier, later in itertools.pairwise(steps)):
        yield "the steps of its curve do not rise"
    elif len(steps) > most // interval:
        yield f"its curve has {len(steps)} validations; the settings give {most // interval}"
    elif len({frozenset(point) for point in result.curve}) > 1:
        yield "the points of its curve have different figures"
    else:
        yield from _impossible_ending(result, plan)
    for point in result.curve:
        # A unit that is not the most probable one has a probability of one half at most.
        accuracy, loss = point.get("validation_accuracy"), point.get("validation_loss")
        if accuracy is not None and loss is not None:
            least = (1 - accuracy) * math.log(2)
            if loss < least - ROUNDED:
                yield (
                    f"curve, step {point['step']:g}: a loss of {loss:.4g} with an accuracy of "
                    f"{accuracy:.4g}, which takes {least:.4g} at least"
                )


def _judged(curve: Curve) -> Curve:
    """The points of a curve that a trial judges by."""
    return [point for point in curve if WATCHED in point]


def _impossible_ending(result: Result, plan: Plan) -> Iterator[str]:
    """What a record says of the end of training that its curve does not."""
    curve, patience = _judged(result.curve), plan.settings.patience
    if out_of_patience(curve[:-1], patience):
        yield f"its curve goes on after {patience} validations without a lower loss"
    best = curve[best_validation(curve)]["step"] if curve and patience else None
    if result.best_step != best:
        yield f"best_step is {result.best_step}; its curve and patience={patience} give {best}"
    if result.converged != converged(curve):
        yield f"converged is {result.converged}, and {converged(curve)} by its curve"


def _alignments(result: Result) -> Iterator[tuple[str, AlignmentFigures]]:
    if result.alignment is None:
        return
    yield "alignment", result.alignment
    if result.alignment.forced is not None:
        yield "alignment.forced", result.alignment.forced
    for name, figures in result.alignment.baselines.items():
        yield f"alignment.baselines.{plain(name)}", figures


def _impossible_alignment(figures: AlignmentFigures, task: type[Task]) -> Iterator[str]:
    aer, mass, right = figures.aer, figures.mass_on_gold, figures.pointing_accuracy
    if aer is None or mass is None or right is None:
        if not (aer is mass is right is None) or figures.coverage:
            yield "some of its figures are missing"
        return
    if not figures.coverage:
        yield "it has figures, and nothing was judged"
    # Every unit judged has a link or more: AER = 1 - (hits + hits) / (units + links).
    if task.pointing_counts_links and aer < 1 - right - ROUNDED:
        yield f"aer {aer:.4g} is less than 1 - pointing_accuracy, {1 - right:.4g}"
    if right > ROUNDED and mass <= 0:
        yield f"pointing_accuracy {right:.4g} without any mass_on_gold"
    if mass > 1 - 1e-9 and right < 1 - ROUNDED:
        yield f"all mass is on gold, and pointing_accuracy is {right:.4g}"


def copies(
    trials: Iterable[tuple[Cell, Sequence[Prediction]]],
) -> Iterator[tuple[Problem, bool]]:
    """Find trials whose outputs, and what predictions state of the model besides, are those of
    another trial to the last digit. Beside each stands whether it is refused: two seeds never give
    the same likelihoods. With the same seed two mechanisms can be one (a window wider than every
    input): that is noted.

    Another model can write the same texts (always the same one, or all right); it does not give all
    of them the same probabilities. Where probabilities are not kept, the same outputs are copies
    too. Trials of which neither is known (bundles of statistics alone) are not compared.
    """
    seen: dict[tuple[str, ...], Cell] = {}
    for cell, rows in trials:
        if not any(one.prediction or one.extra.keys() & set(OWN) for one in rows):
            continue
        told = sorted(
            json.dumps([one.subset, one.example, one.prediction, *map(one.extra.get, OWN)])
            for one in rows
        )
        digest = hashlib.sha256("\n".join(told).encode()).hexdigest()
        first = seen.setdefault((cell.task, cell.dataset, cell.budget, digest), cell)
        names = [(one.seed, one.attention, one.score) for one in (cell, first)]
        if names[0] != names[1]:
            what = f"outputs and likelihoods of all examples are those of {named(first)}"
            yield Problem(named(cell), what), cell.seed != first.seed
