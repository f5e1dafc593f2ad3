"""What is told of a result, whatever the format: figures, data, and the command that makes it."""

from __future__ import annotations

import argparse
import math
import shlex
from pathlib import Path

import pytest
from exported import CELLS, fill

from ablations.cli import run as run_command
from ablations.cli.options import settings_of
from bench.store.result import Primary
from bench.store.store import Store
from reports.exchange.evaluation import Evaluation, evaluation_of
from tasks.plan import make_cell


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return fill(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def evaluations(exported: Store) -> dict[str, Evaluation]:
    return {name: evaluation_of(exported.get(cell.hash)) for name, cell in CELLS.items()}


def test_figures_have_interval_size_and_signature(evaluations):
    main, other = evaluations["hub"].measured
    primary = evaluations["hub"].result.primary
    assert (main.metric, main.test_set, main.examples) == ("rouge_l", "test", 40)
    assert (main.value, main.low, main.high) == (primary.value, primary.low, primary.high)
    assert main.signature == "rouge-score 0.1.2|f1"
    assert (other.metric, other.test_set, other.examples) == ("rouge_l", "long", 20)
    assert (other.value, other.low) == (0.3, None)


def test_baselines_and_counts_are_no_figures_of_the_model(made):
    result = next(one for one in made.store.results() if one.status == "done")
    found = evaluation_of(result).measured
    assert [(one.metric, one.test_set) for one in found] == [("bleu", "test"), ("bleu", "long")]
    assert found[0].examples == made.examples, "the sizes of bins add up where none is recorded"
    assert found[0].signature.startswith("nrefs:1|")


@pytest.mark.parametrize(
    ("metric", "value", "higher", "shown", "ends", "lower_is_better"),
    [
        ("bleu", 100.00000000000004, True, 100.0, (0, 100), False),
        ("per", 1.25, False, 1.25, (0, math.inf), True),
        ("surprise", -3.0, False, -3.0, (-math.inf, math.inf), True),
    ],
)
def test_a_figure_lies_within_the_ends_of_its_metric(
    exported, metric, value, higher, shown, ends, lower_is_better
):
    result = exported.get(CELLS["generated"].hash)
    primary = Primary(name=metric, value=value, low=0.0, high=value, higher_is_better=higher)
    metrics = {metric: value}
    found = evaluation_of(result.model_copy(update={"primary": primary, "metrics": metrics}))
    [measured] = found.measured
    assert measured.value == shown
    assert (measured.scale.lowest, measured.scale.largest) == ends
    assert measured.scale.lower_is_better is lower_is_better


def test_where_data_are_from(evaluations):
    sources = {name: one.source for name, one in evaluations.items()}
    assert sources["hub"].hub == "EdinburghNLP/xsum" and sources["hub"].commit == ""  # a branch
    assert sources["pinned"].hub == "nyu-mll/multi_nli" and len(sources["pinned"].commit) == 40
    assert sources["kept"].urls and not sources["kept"].hub
    assert sources["generated"].generated and not sources["shared"].generated
    assert (sources["unknown"].licence, sources["unknown"].urls) == ("", ())
    facts = sources["kept"].facts("long")
    assert facts["fingerprint"] == "b" * 64
    assert facts["examples of train"] == "900" and facts["examples of long"] == "20"
    assert "examples of test" not in facts
    assert facts["licence"] == "CC BY-NC-SA 3.0" and "Marelli" in facts["citation"]
    assert "are also in train" in facts["notes"]


@pytest.mark.parametrize("name", [name for name in CELLS if name != "unknown"])
def test_the_command_is_that_of_the_cell(evaluations, name):
    program, command, *words = shlex.split(evaluations[name].command)
    assert (program, command) == ("attnbench", "run")
    parser = argparse.ArgumentParser()
    run_command.add_arguments(parser)
    given = parser.parse_args(words)
    made = make_cell(
        given.task,
        given.attention,
        given.score,
        backbone=given.backbone,
        dataset=given.dataset,
        budget=given.budget or "laptop",
        seed=given.seed,
        options=settings_of(given.settings),
    )
    assert made.to_json() == {k: v for k, v in CELLS[name].to_json().items() if k != "data"}
    assert ("--data-root" in words) is (name != "generated")


def test_decoding_is_told_where_something_is_generated(evaluations):
    expected = {"beam_size": 4, "length_penalty": 1.0, "coverage_penalty": 0.0, "max_length": 31}
    assert evaluations["hub"].decoding == expected
    assert evaluations["kept"].decoding == {}


def test_the_backbone_is_that_of_the_paper_unless_the_cell_has_another(evaluations):
    assert evaluations["kept"].model_facts["backbone"] == "recurrent"
    assert evaluations["pinned"].model_facts["backbone"] == "transformer"


def test_names_are_safe_and_differ(evaluations: dict[str, Evaluation]):
    names = [one.name for one in evaluations.values()]
    assert len(set(names)) == len(names)
    assert all(Path(name).name == name and name.isascii() for name in names)
