"""Records of Every Eval Ever, the schema of the EvalEval coalition, version 0.3.0 (aggregate
records; https://github.com/evaleval/every_eval_ever, `eval.schema.json`).

A trained model is one record, `data/attention-bench/OWNER/MODEL/UUID.json`, as its datastore lays
them out, with a result for each metric and test set. The UUID follows from the cell, so that a
later export replaces a record. Texts are the only values that the schema's free fields take.
"""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reports.exchange.evaluation import INTERVAL_METHOD, About, Evaluation, Measured, Source
from reports.formats import metric_name
from reports.load import value_text
from reports.statistics.significance import LEVEL
from tasks.evaluation.bootstrap import RESAMPLES

NAME = "Every Eval Ever 0.3.0"
SCHEMA_VERSION = "0.3.0"
COLLECTION = "attention-bench"
#: Identifiers that differ from our names of metrics.
_METRIC_IDS = {"macro_f1": "f1_macro"}


def files(evaluations: Iterable[Evaluation], about: About) -> Iterator[tuple[str, str]]:
    """Yield a JSON file a model: path below the folder, and content."""
    for one in evaluations:
        named = uuid.UUID(bytes=bytes.fromhex(one.result.hash)[:16], version=4)
        path = f"data/{COLLECTION}/{about.owner}/{one.name}/{named}.json"
        text = json.dumps(record(one, about), ensure_ascii=False, allow_nan=False, indent=1)
        yield path, f"{text}\n"


def next_step(out: Path) -> str:
    """One line on what to do with the records."""
    return (
        f"in {out}, `uvx --from every-eval-ever every_eval_ever validate 'data/*/*/*/*.json'` "
        "checks them; a pull request to the dataset evaleval/EEE_datastore hands them in"
    )


def record(one: Evaluation, about: About) -> dict[str, Any]:
    """Return the record of a model."""
    provenance = one.result.provenance
    libraries = dict(provenance.libraries)
    model = f"{about.owner}/{one.name}"
    return {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": f"{COLLECTION}/{model}/{_epoch(provenance.finished)}",
        "evaluation_timestamp": provenance.finished,
        "retrieved_timestamp": f"{about.time.timestamp():.0f}",
        "source_metadata": {
            "source_name": "attention-bench",
            "source_type": "evaluation_run",
            "source_organization_name": about.organization,
            "evaluator_relationship": "first_party",
            "additional_details": _texts({"shown at": about.url, "study": provenance.study}),
        },
        "eval_library": {
            "name": "attention-bench",
            "version": provenance.package_version,
            "additional_details": _texts(
                {"commit": provenance.commit, "device": provenance.device, **libraries}
            ),
        },
        "model_info": {
            "name": one.result.cell.label,
            "id": model,
            "developer": about.organization,
            "inference_engine": {
                "name": "PyTorch",
                "version": libraries.get("torch", "unknown"),
            },
            "additional_details": {
                "deployment_type": "self_deployed",
                "model_availability": "unknown",  # whether they publish it is the user's to say
                **one.model_facts,
                "cell": one.result.hash,
                **_texts({"settings": _json(one.result.settings)}),
            },
        },
        "evaluation_results": [_result(one, measured) for measured in one.measured],
    }


def _epoch(time: str) -> str:
    """A time in ISO 8601 as seconds of the Unix epoch; another text as it is."""
    try:
        found = datetime.fromisoformat(time)
    except ValueError:
        return time
    return f"{found.replace(tzinfo=found.tzinfo or UTC).timestamp():.0f}"


def _result(one: Evaluation, measured: Measured) -> dict[str, Any]:
    cell, scale = one.result.cell, measured.scale
    name = f"attention_bench.{cell.task}.{cell.dataset}.{measured.test_set}"
    config: dict[str, Any] = {
        "evaluation_description": (
            f"{metric_name(measured.metric)} of {cell.task} on the test set "
            f"'{measured.test_set}' of {cell.dataset}"
        ),
        "metric_id": _METRIC_IDS.get(measured.metric, measured.metric),
        "metric_name": metric_name(measured.metric),
        "metric_unit": scale.unit,
        "lower_is_better": scale.lower_is_better,
        "score_type": "continuous",
        "min_score": _end(scale.lowest),
        "max_score": _end(scale.largest),
    }
    if measured.signature:
        config["metric_parameters"] = {"signature": measured.signature}
    return {
        "evaluation_result_id": f"{one.result.hash[:16]}.{measured.test_set}.{measured.metric}",
        "evaluation_name": name,
        "evaluation_timestamp": one.result.provenance.finished,
        "source_data": _source(cell.task, one.source, measured),
        "metric_config": config,
        "score_details": _score(one, measured),
        "generation_config": _generation(one),
    }


def _end(value: float) -> float | str:
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def _score(one: Evaluation, measured: Measured) -> dict[str, Any]:
    uncertainty: dict[str, Any] = {}
    if measured.low is not None and measured.high is not None:
        uncertainty["confidence_interval"] = {
            "lower": measured.low,
            "upper": measured.high,
            "confidence_level": LEVEL,
            "method": INTERVAL_METHOD,
        }
        uncertainty["num_bootstrap_samples"] = RESAMPLES
    if measured.examples is not None:
        uncertainty["num_samples"] = measured.examples
    found: dict[str, Any] = {"score": measured.value, "uncertainty": uncertainty}
    alignment = one.result.alignment
    if measured is one.measured[0] and alignment is not None:
        figures = ("aer", "mass_on_gold", "pointing_accuracy", "coverage")
        found["details"] = _texts(
            {f"attention to gold: {name}": getattr(alignment, name) for name in figures}
        )
    return found


def _source(task: str, source: Source, measured: Measured) -> dict[str, Any]:
    name = f"attention-bench {task}/{source.name}" if source.generated else source.name
    found: dict[str, Any] = {
        "dataset_name": name,
        "additional_details": source.facts(measured.test_set),
    }
    if source.hub:
        found |= {"source_type": "hf_dataset", "hf_repo": source.hub}
        if measured.test_set == "test":
            found["hf_split"] = "test"
        if measured.examples is not None:
            found["samples_number"] = measured.examples
        found["additional_details"] |= _texts({"revision": source.commit})
    elif source.urls:
        found |= {"source_type": "url", "url": list(source.urls)}
    else:
        found["source_type"] = "other"
    return found


def _generation(one: Evaluation) -> dict[str, Any]:
    arguments: dict[str, Any] = {"execution_command": one.command}
    longest = one.decoding.get("max_length")
    if isinstance(longest, int) and longest >= 1:
        arguments["max_tokens"] = longest
    details = {
        name: value_text(value) for name, value in one.decoding.items() if name != "max_length"
    }
    return {"generation_args": arguments, "additional_details": details}


def _texts(values: dict[str, Any]) -> dict[str, str]:
    """Values as texts; those that are not known are left out."""
    return {name: str(value) for name, value in values.items() if value not in (None, "")}


def _json(settings: Any) -> str:
    return json.dumps(dict(settings), sort_keys=True) if settings else ""
