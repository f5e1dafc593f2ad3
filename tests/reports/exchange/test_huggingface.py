"""Model cards and evaluation results, read by the hub's own library."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import yaml
from exported import CELLS, fill
from huggingface_hub import ModelCard, parse_eval_result_entries

from bench.store.store import Store
from reports.exchange.evaluation import About, Evaluation, evaluation_of
from reports.exchange.huggingface import files

ABOUT = About("Example Lab", "https://example.org/report", datetime(2025, 2, 1, tzinfo=UTC))


@pytest.fixture(scope="module")
def evaluations(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Evaluation]:
    store: Store = fill(tmp_path_factory.mktemp("store"))
    return {name: evaluation_of(store.get(cell.hash)) for name, cell in CELLS.items()}


def folder_of(one: Evaluation, about: About = ABOUT) -> dict[str, str]:
    return {path.removeprefix(f"{one.name}/"): text for path, text in files([one], about)}


@pytest.mark.parametrize("name", CELLS)
def test_the_card_has_every_figure(evaluations, name):
    one = evaluations[name]
    data = ModelCard(folder_of(one)["README.md"]).data
    assert data.model_name == one.name
    assert [(found.dataset_split, found.metric_value) for found in data.eval_results] == [
        (measured.test_set, measured.value) for measured in one.measured
    ]
    main = data.eval_results[0]
    low, high = map(float, main.metric_args["95 % interval"].split(" to "))
    assert (low, high) == pytest.approx((one.measured[0].low, one.measured[0].high), rel=1e-5)
    assert main.metric_args["examples"] == 40 and main.metric_args["seed"] == one.result.cell.seed
    assert main.dataset_args["fingerprint"] == one.source.fingerprint
    assert (main.source_name, main.source_url) == ("attention-bench", ABOUT.url)


def test_names_are_those_of_the_hub(evaluations):
    found = ModelCard(folder_of(evaluations["hub"])["README.md"]).data
    main = found.eval_results[0]
    assert (main.task_type, main.dataset_type) == ("summarization", "EdinburghNLP/xsum")
    assert (main.metric_type, main.metric_config) == ("rouge", "rougeL")
    assert main.metric_args["signature"] == "rouge-score 0.1.2|f1"
    assert main.metric_args["beam_size"] == 4
    assert found.datasets == ["EdinburghNLP/xsum"]
    choice = ModelCard(folder_of(evaluations["kept"])["README.md"]).data.eval_results[0]
    assert (choice.task_type, choice.metric_type) == ("text-classification", "accuracy")
    assert "beam_size" not in choice.metric_args


def test_a_data_set_of_the_hub_has_an_entry_of_its_benchmark(evaluations):
    one = evaluations["pinned"]
    [entry] = parse_eval_result_entries(
        yaml.safe_load(folder_of(one)[".eval_results/attention-bench.yaml"])
    )
    assert (entry.dataset_id, entry.dataset_revision) == ("nyu-mll/multi_nli", one.source.commit)
    assert entry.value == one.measured[0].value
    assert datetime.fromisoformat(entry.date) == datetime(2025, 1, 31, 12, 4, 10, tzinfo=UTC)
    assert (entry.source_url, entry.source_name) == (ABOUT.url, "attention-bench")
    assert "95 % interval" in entry.notes and "seed: 2" in entry.notes


@pytest.mark.parametrize("name", ["generated", "kept", "unknown"])
def test_other_data_sets_have_none(evaluations, name):
    assert list(folder_of(evaluations[name])) == ["README.md"]


def test_without_an_address_there_is_no_source(evaluations):
    about = About("unknown", "", ABOUT.time)
    written = folder_of(evaluations["pinned"], about)
    assert ModelCard(written["README.md"]).data.eval_results[0].source_url is None
    [entry] = yaml.safe_load(written[".eval_results/attention-bench.yaml"])
    assert "source" not in entry


def test_the_text_shows_figures_settings_and_the_command(evaluations):
    text = folder_of(evaluations["hub"])["README.md"]
    assert "| ROUGE-L | test | 60.0\N{NO-BREAK SPACE}% | [57.0, 63.0] | 40 |" in text
    assert "- beam\\_size: 4" in text
    assert evaluations["hub"].command in text
