"""Evaluation results of the Hugging Face Hub: what the repository of a trained model needs.

A model is a folder. Its `README.md` is a model card whose metadata hold all figures as a
`model-index`, which takes data sets from anywhere
(https://github.com/huggingface/hub-docs/blob/main/modelcard.md). Where the data are a data set of
the hub, `.eval_results/attention-bench.yaml` has the main metric in the format that puts it on the
page of the model, and on the leaderboard of the data set where that is a registered benchmark
(https://huggingface.co/docs/hub/eval-results).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import (
    EvalResult,
    EvalResultEntry,
    ModelCardData,
    eval_result_entries_to_yaml,
)

from reports.exchange.evaluation import INTERVAL_METHOD, About, Evaluation, Measured
from reports.formats import metric_name
from reports.load import value_text
from reports.statistics.significance import LEVEL
from reports.tables import metric_number
from reports.writers import escape_markdown

NAME = "the Hugging Face Hub's evaluation results"
#: The hub's names of tasks; other tasks keep theirs.
_TASKS = {
    "captioning": "image-to-text",
    "entailment": "text-classification",
    "speech": "automatic-speech-recognition",
}
#: The hub's names of metrics and of their configurations; other metrics keep theirs.
_METRICS = {
    "macro_f1": ("f1", "macro"),
    "bleu": ("sacrebleu", None),
    "bleu_4": ("bleu", None),
    "rouge_1": ("rouge", "rouge1"),
    "rouge_2": ("rouge", "rouge2"),
    "rouge_l": ("rouge", "rougeL"),
}
#: The task of a benchmark that names only one.
_BENCHMARK_TASK = "default"


def files(evaluations: Iterable[Evaluation], about: About) -> Iterator[tuple[str, str]]:
    """Yield the files of every model's folder: path below the whole folder, and content."""
    for one in evaluations:
        yield f"{one.name}/README.md", card(one, about)
        if entries := benchmark_entries(one, about):
            text = yaml.safe_dump(entries, sort_keys=False, allow_unicode=True, width=100)
            yield f"{one.name}/.eval_results/attention-bench.yaml", text


def next_step(out: Path) -> str:
    """One line on what to do with the folders."""
    folder = shlex.quote(f"{out}/MODEL")
    return f"`hf upload OWNER/MODEL {folder} .` puts one into the repository of its model"


def card(one: Evaluation, about: About) -> str:
    """Return a model card: metadata with the model-index, and a description."""
    metrics = [_METRICS.get(each.metric, (each.metric, None))[0] for each in one.measured]
    data = ModelCardData(
        model_name=one.name,
        eval_results=[_model_index(one, each, about) for each in one.measured],
        library_name="attention-bench",
        tags=["attention", one.result.cell.task, one.result.cell.attention],
        datasets=[one.source.hub] if one.source.hub else None,
        metrics=list(dict.fromkeys(metrics)),
    )
    return f"---\n{data.to_yaml()}\n---\n{_description(one)}"


def benchmark_entries(one: Evaluation, about: About) -> list[dict[str, Any]]:
    """Return the entries of `.eval_results/*.yaml`: the main metric, where the data set is the
    hub's; none elsewhere."""
    if not one.source.hub:
        return []
    main = one.measured[0]
    entry = EvalResultEntry(
        dataset_id=one.source.hub,
        task_id=_BENCHMARK_TASK,
        value=main.value,
        dataset_revision=one.source.commit or None,
        date=one.result.provenance.finished,
        source_url=about.url or None,
        source_name="attention-bench" if about.url else None,
        notes="; ".join(f"{name}: {text}" for name, text in _arguments(one, main).items()),
    )
    return eval_result_entries_to_yaml([entry])


def _model_index(one: Evaluation, measured: Measured, about: About) -> EvalResult:
    cell, source = one.result.cell, one.source
    kind, config = _METRICS.get(measured.metric, (measured.metric, None))
    return EvalResult(
        task_type=_TASKS.get(cell.task, cell.task),
        task_name=cell.task,
        dataset_type=source.hub or source.name,
        dataset_name=f"{source.name}, {measured.test_set}",
        dataset_split=measured.test_set,
        dataset_revision=source.commit or None,
        dataset_args=source.facts(measured.test_set),
        metric_type=kind,
        metric_value=measured.value,
        metric_name=metric_name(measured.metric),
        metric_config=config,
        metric_args=_arguments(one, measured),
        source_name="attention-bench" if about.url else None,
        source_url=about.url or None,
    )


def _arguments(one: Evaluation, measured: Measured) -> dict[str, Any]:
    """How a figure was made and how sure it is, by name."""
    found: dict[str, Any] = {"metric": measured.metric, "test set": measured.test_set}
    if measured.low is not None and measured.high is not None:
        found[f"{100 * LEVEL:.0f} % interval"] = f"{measured.low:.6g} to {measured.high:.6g}"
    if measured.examples is not None:
        found["examples"] = measured.examples
    if measured.signature:
        found["signature"] = measured.signature
    return {**found, **one.decoding, "seed": one.result.cell.seed}


def _description(one: Evaluation) -> str:
    cell, provenance = one.result.cell, one.result.provenance
    origin = {
        "attention-bench": provenance.package_version,
        "commit": provenance.commit or "",
        "device": provenance.device,
        "result": one.result.hash,
        **provenance.libraries,
    }
    kept = (
        f"Its parameters are `{one.model_file}` of the store, which `attnbench try` reads.\n\n"
        if one.model_file
        else ""
    )
    settings = {name: value_text(value) for name, value in one.result.settings.items()}
    return "\n".join(
        (
            f"\n# {escape_markdown(one.name)}\n",
            f"A model of {escape_markdown(cell.task)} with the attention "
            f"{escape_markdown(cell.attention)} and the score {escape_markdown(cell.score)}, "
            "trained by attention-bench to compare mechanisms of attention.\n",
            f"{kept}## Figures\n",
            "| metric | test set | figure | 95 % interval | examples |",
            "|---|---|---:|---:|---:|",
            *map(_row, one.measured),
            f"\nIntervals are over test examples, for this one seed: {INTERVAL_METHOD}.\n",
            *_listed("The model", one.model_facts),
            *_listed("The data", one.source.facts(one.measured[0].test_set)),
            *_listed("Decoding", {name: value_text(v) for name, v in one.decoding.items()}),
            *_listed("Where it is from", origin),
            *_listed("All settings", settings),
            f"## Again\n\n```\n{one.command}\n```\n",
        )
    )


def _row(one: Measured) -> str:
    number = metric_number(one.value, one.metric, one.low, one.high)
    cells = (metric_name(one.metric), one.test_set, number.text, number.interval)
    return f"| {' | '.join(cells)} | {'' if one.examples is None else one.examples} |"


def _listed(title: str, facts: dict[str, str]) -> Iterator[str]:
    known = {name: text for name, text in facts.items() if text}
    if known:
        yield f"## {title}\n"
        yield from (
            f"- {escape_markdown(name)}: {escape_markdown(text)}" for name, text in known.items()
        )
        yield ""
