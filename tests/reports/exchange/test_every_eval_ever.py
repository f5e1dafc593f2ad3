"""Records of Every Eval Ever against the fields of its schema, and its own validator if there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from every_eval_ever_fields import EvaluationLog
from exported import CELLS, fill
from pydantic import ValidationError

from reports.exchange.evaluation import About, evaluation_of
from reports.exchange.every_eval_ever import files, next_step, record

ABOUT = About("Example Lab", "https://example.org/report", datetime(2025, 2, 1, tzinfo=UTC))
#: Of the package every-eval-ever, which needs other versions of our libraries.
VALIDATOR = shutil.which("every_eval_ever")


@pytest.fixture(scope="module")
def written(made, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with records of all kinds of data, and of the made-up translations."""
    folder = tmp_path_factory.mktemp("out")
    store = fill(tmp_path_factory.mktemp("store"))
    results = [*store.results(), *made.store.results()]
    done = [evaluation_of(one) for one in results if one.status == "done"]
    for name, text in files(done, ABOUT):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(text, "utf-8")
    yield folder


def records(folder: Path) -> dict[str, dict]:
    return {
        str(path.relative_to(folder)): json.loads(path.read_text("utf-8"))
        for path in folder.rglob("*.json")
    }


def test_records_have_the_fields_of_the_schema(written):
    found = records(written)
    assert len(found) > len(CELLS)
    for one in found.values():
        EvaluationLog.model_validate(one)


def test_the_fields_refuse_what_the_schema_refuses(written):
    one = next(iter(records(written).values()))
    details = one["model_info"]["additional_details"]
    for changed in (
        {**one, "surprise": 1},
        {**one, "schema_version": "0.2.2"},
        {key: value for key, value in one.items() if key != "eval_library"},
        {**one, "model_info": {**one["model_info"], "additional_details": {**details, "seed": 1}}},
    ):
        with pytest.raises(ValidationError):
            EvaluationLog.model_validate(changed)


def test_files_lie_as_in_the_datastore(written):
    for path, one in records(written).items():
        data, collection, owner, model, file = path.split("/")
        assert (data, collection) == ("data", "attention-bench")
        assert f"{owner}/{model}" == one["model_info"]["id"]
        # The digit 4 is the version of the UUID, 8 to b its variant.
        assert re.fullmatch(
            r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-.{12}\.json", file
        )


def test_the_identifier_of_an_evaluation_does_not_change(made):
    result = next(one for one in made.store.results() if one.status == "done")
    early, late = (
        record(evaluation_of(result), About("Example Lab", "", datetime(year, 1, 1, tzinfo=UTC)))
        for year in (2025, 2026)
    )
    assert early.pop("retrieved_timestamp") != late.pop("retrieved_timestamp")
    assert early == late
    assert early["evaluation_id"].endswith("/1738325050"), "2025-01-31T12:04:10Z"


def test_what_a_record_tells(written):
    cell = CELLS["hub"]
    one = next(r for r in records(written).values() if cell.hash in json.dumps(r))
    assert one["source_metadata"]["source_organization_name"] == "Example Lab"
    assert one["source_metadata"]["source_type"] == "evaluation_run"
    library = one["eval_library"]
    assert library["version"] == "0.1.0" and library["additional_details"]["torch"] == "2.11.0"
    model = one["model_info"]["additional_details"]
    assert (model["attention"], model["score"], model["backbone"]) == (
        "soft",
        "concat",
        "recurrent",
    )
    assert (model["seed"], model["parameters"]) == ("1", "1000")
    main, other = one["evaluation_results"]
    assert main["source_data"]["hf_repo"] == "EdinburghNLP/xsum"
    assert main["source_data"]["hf_split"] == "test"
    assert main["source_data"]["samples_number"] == 40
    assert main["source_data"]["additional_details"]["fingerprint"] == "c" * 64
    assert "hf_split" not in other["source_data"]
    assert main["metric_config"]["metric_parameters"] == {"signature": "rouge-score 0.1.2|f1"}
    uncertainty = main["score_details"]["uncertainty"]
    assert uncertainty["confidence_interval"]["confidence_level"] == 0.95
    assert uncertainty["num_samples"] == 40
    assert "confidence_interval" not in other["score_details"]["uncertainty"]
    generation = main["generation_config"]
    assert generation["generation_args"]["max_tokens"] == 31
    assert generation["additional_details"]["beam_size"] == "4"


@pytest.mark.skipif(VALIDATOR is None, reason="needs `uv tool install every-eval-ever`")
def test_the_validator_of_the_coalition_passes_every_record(written):
    command = [VALIDATOR, "validate", "--format", "json", "data/*/*/*/*.json"]
    assert "every_eval_ever validate" in next_step(written)
    answer = subprocess.run(command, cwd=written, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout[-2000:]
