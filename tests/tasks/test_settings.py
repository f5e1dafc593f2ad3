"""What budgets mean for each data set: files that name what there is, and who shares a section."""

from __future__ import annotations

from importlib.resources import files
from typing import ClassVar

import pytest
import yaml

from bench.store.cell import Scalar
from tasks.base import datasets, tasks
from tasks.plan import make_cell, resolve
from tasks.settings import BUDGETS, Settings, budget_settings

TABULAR = datasets("entailment").get("tabular")


@pytest.mark.parametrize("task", tasks.names())
def test_every_data_set_of_ours_has_a_section_with_every_budget(task: str) -> None:
    text = files(f"tasks.{task}").joinpath("budgets.yaml").read_text("utf-8")
    sections = yaml.safe_load(text)
    sections.pop("shared", None)
    assert set(sections) == set(datasets(task).names())
    assert all(set(section) == set(BUDGETS) for section in sections.values())


def test_a_family_overrides_what_all_models_have_and_that_what_is_extended() -> None:
    wmt14, speech = datasets("translation").get("wmt14"), datasets("speech").get("manifest")
    assert budget_settings(wmt14, "laptop", "recurrent")["max_steps"] == 3600
    assert budget_settings(wmt14, "laptop", "transformer")["max_steps"] == 3000
    assert budget_settings(speech, "gpu", "recurrent")["n_mels"] == 80
    assert budget_settings(speech, "laptop", "recurrent")["n_mels"] == 40


@pytest.mark.parametrize("reader", ["decomposable", "esim"])
def test_a_setting_that_chooses_a_recipe_changes_what_others_are_by_default(reader: str) -> None:
    def settings(**options: Scalar) -> Settings:
        draft = make_cell("entailment", "global", "dot", dataset="sick", options=options)
        return resolve(draft).settings

    own, plain = settings(reader=reader), settings()
    assert own.dropout < plain.dropout
    assert settings(reader=reader, dropout=0.3).dropout == 0.3


def test_a_data_set_derived_from_one_of_ours_shares_its_section() -> None:
    class Mine(TABULAR):  # type: ignore[misc, valid-type]
        name: ClassVar[str] = "mine"

    assert Mine.settings("laptop", "recurrent") == TABULAR.settings("laptop", "recurrent") != {}


def test_a_data_set_from_elsewhere_has_no_section() -> None:
    class Elsewhere:
        name = "tabular"

    assert budget_settings(Elsewhere, "laptop", "recurrent") == {}
