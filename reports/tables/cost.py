"""What mechanisms cost: sizes, times and memory beside the main metric."""

from __future__ import annotations

from operator import attrgetter

from reports import formats
from reports.statistics import Analysis
from reports.tables import Better, Column, Form, Table, better_of
from reports.tables.scores import contender_table, main_entries, seed_means

_COSTS: tuple[tuple[str, str, Form], ...] = (
    ("parameters", "parameters", "count"),
    ("attention_parameters", "of them attention", "count"),
    ("train_seconds", "training", "seconds"),
    ("train_tokens_per_second", "training speed", "rate"),
    ("decode_examples_per_second", "decoding speed", "rate"),
    ("macs_per_example", "multiply-accumulates an example", "count"),
    ("real_time_factor", "real-time factor", "plain"),
    ("peak_memory_bytes", "peak memory", "bytes"),
)
#: Columns that only some tasks have, or records of this version.
_SOMETIMES = ("macs_per_example", "real_time_factor")


def cost_table(analysis: Analysis, train_unit: str) -> Table:
    """Build the table of each contender's cost beside its main metric."""
    frame = analysis.frame
    metric = frame.main_metric
    main = Column(metric, formats.metric_name(metric), better=better_of(frame))
    columns = {main: main_entries(analysis)}
    known = set()
    for key, label, form in _COSTS:
        value = attrgetter(f"cost.{key}")
        if key not in _SOMETIMES or any(map(value, frame.done)):
            better: Better = "higher" if form == "rate" else "lower"
            column = Column(key, label, better=better, is_cost=True)
            columns[column] = seed_means(analysis, value, form=form)
            known.add(key)
    note = (
        f"Means over seeds. Training speed in {train_unit} a second, decoding speed in "
        "examples a second. Times compare only within one machine."
    )
    if "macs_per_example" in known:
        note += (
            " Multiply-accumulates are those of matrix products and convolutions in reading one "
            "example and its reference."
        )
    if "real_time_factor" in known:
        note += " The real-time factor is seconds of decoding by seconds of sound."
    return contender_table(analysis, "cost", "Cost beside quality", columns, [note])
