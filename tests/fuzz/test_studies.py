"""Studies, `--set` values and search spaces: what YAML can be, and what stands in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from fuzzed_command import ask, examples
from fuzzed_values import mutated_bytes, mutated_json, odd_texts
from hypothesis import given
from hypothesis import strategies as st

from ablations.study import FOLDER

Draw = Callable[[st.SearchStrategy[Any]], Any]

STUDY = """\
title: A study
seeds: [1, 2]
tasks: [translation, entailment]
datasets: {translation: [synthetic], entailment: [synthetic]}
budget: smoke
options: &common {max_steps: 2, dropout: [0.1, 0.2]}
search: {learning_rate: {doublings: 2}, weight_decay: {log_uniform: [1.0e-5, 0.1]}}
blocks:
  - attentions: [soft, none]
    scores: [concat]
    options: {<<: *common, normaliser: [softmax]}
    search: {hidden_dim: {integers: [16, 64]}, rnn_type: [gru, lstm], batch_tokens: [100, 200]}
  - attentions: all
    scores: classic
    gpu_options: {hidden_dim: 512}
paper:
  name: Luong 2015
  comparisons:
    - dataset: WMT14 en-de newstest2014
      metric: BLEU
      rows: {global (location): {attention: global, score: dot}}
"""
#: Texts of YAML that Python's loader answers with errors of many kinds.
ODDITIES = (
    "2001-02-30", "2001-01-01T25:00:00", "!!int abc", "!!float x", "!!binary é", "!!timestamp x",
    "!!set {a}", "!!omap [a]", "!!pairs x", "!!python/object:os.system x", "!!bool maybe", "0x_",
    "0b_", "0o_", "1e", "190:20:30", "1:99", "&a [*a]", "&a {*a : 1}", "*b", "{[1]: 2}",
    "{? {a: 1}}", "{<<: 1}", "{<<: [1]}", "!!null x", "!", "!<> x", "%YAML 9.9", "--- x\n--- y",
    '"\\ud800"',     '"\\x00"', "\ufffe", "\t", "[" * 600 + "]" * 600, "{a: " * 600, "- " * 600,
    "9" * 5000, "1e999",
)  # fmt: skip


@st.composite
def studies(draw: Draw) -> bytes:
    """A study in which words, values or bytes have changed."""
    texts = [STUDY, *(path.read_text("utf-8") for path in sorted(FOLDER.glob("l*.yaml")))]
    text: str = draw(st.sampled_from(texts))
    for _ in range(draw(st.integers(0, 2))):
        words = text.split(" ")
        place = draw(st.integers(0, len(words) - 1))
        tail = "\n" if words[place].endswith("\n") else ""
        words[place] = draw(st.sampled_from(ODDITIES) | odd_texts) + tail
        text = " ".join(words)
    content = text.encode("utf-8", "surrogatepass")
    kind = draw(st.sampled_from(["words", "bytes", "values"]))
    if kind == "values":
        content = draw(mutated_json(yaml.safe_load(STUDY)))
    return content if kind != "bytes" else draw(mutated_bytes(content))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("studies") / "study.yaml"


@examples(25)
@given(studies())
def test_studies(study: Path, content: bytes) -> None:
    study.write_bytes(content)
    ask("sweep", str(study), "--dry-run", "--limit", "3")


@pytest.mark.parametrize("text", ODDITIES)
def test_values_of_yaml(study: Path, text: str) -> None:
    study.write_text(f"attentions: [soft]\noptions:\n  dropout: {text}\n", "utf-8")
    ask("sweep", str(study), "--dry-run", "--limit", "3")
    ask(*RUN, "--set", f"dropout={text}")


RUN = ("run", "--task", "translation", "--attention", "soft", "--budget", "smoke")


def option_names() -> list[str]:
    from tasks.plan import make_cell, resolve

    plan = resolve(make_cell("translation", "soft"))
    parts = (plan.settings, plan.attention_options, plan.dataset_options)
    return sorted({name for part in parts for name in type(part).model_fields})


@examples(25)
@given(st.data())
def test_settings(no_training: None, data: st.DataObject) -> None:
    names = st.sampled_from(option_names())
    values = odd_texts | st.sampled_from(ODDITIES)
    settings = data.draw(st.lists(st.tuples(names | odd_texts, values), min_size=1, max_size=2))
    ask(*RUN, *(part for name, value in settings for part in ("--set", f"{name}={value}")))


@examples(6)
@given(
    st.sampled_from(["1", "3", "40", "9" * 30]),
    st.sampled_from(["none", "asha"]),
    st.sampled_from(["random", "optuna"]),
    studies(),
)
def test_search_spaces(
    study: Path, candidates: str, scheduler: str, searcher: str, content: bytes
) -> None:
    study.write_bytes(content)
    more = ["--tune", candidates, "--scheduler", scheduler, "--searcher", searcher, "--limit", "2"]
    ask("sweep", str(study), "--dry-run", "--budget", "smoke", *more)
