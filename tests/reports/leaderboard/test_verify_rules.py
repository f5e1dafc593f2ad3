"""Seeds, budgets, classes and sizes of models, as the rules have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bundles import changed, in_record

from bench.store.cell import Cell
from bench.store.store import Store
from reports.leaderboard.bundle import open_bundle, record_of
from reports.leaderboard.checks import well_formed
from reports.leaderboard.rules import Limits, Rules
from reports.leaderboard.submission import submit
from reports.leaderboard.verify import verify


def test_a_missing_seed_is_open(trials, tmp_path: Path) -> None:
    rules = trials.rules.model_copy(update={"seeds": (1, 2, 3)})
    verdict = verify(
        open_bundle(trials.of("translation"), rules.limits),
        rules,
        trials.paths,
    )
    assert verdict.is_verified, "it stands on the board while its other seeds are run"
    (said,) = map(str, verdict.open)
    assert "no result of seed 2, 3; every entry has seeds 1, 2, 3" in said


def test_settings_of_one_s_own_are_another_class(trials, more, tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store", create=True)
    more(store, "translation", "soft", hidden_dim=64, max_steps=14)
    submission = submit(store, tmp_path / "same.zip", trials.rules, name="larger")
    foreseen = " ".join(submission.notes)
    said = " ".join(trials.said(tmp_path / "same.zip"))
    for text in (foreseen, said):
        assert "hidden_dim=64 is not what its class 'same' gives" in text
        assert "max_steps=14 is not what its class 'same' gives" in text
    assert "its class 'same' allows" in said  # the model is too large
    submit(store, tmp_path / "open.zip", trials.rules, name="larger", kind="open")
    assert trials.said(tmp_path / "open.zip") == []


def test_a_too_large_model_is_refused_whatever_it_says(trials, tmp_path: Path) -> None:
    strict = _with_parameters(trials.rules, 0.5)
    verdict = verify(open_bundle(trials.of("speech"), strict.limits), strict, trials.paths)
    said = [str(one) for one in verdict.problems]
    assert len(said) == 1 and "its class 'same' allows" in said[0] and "(0.5 times" in said[0]
    # Stating less does not help: the model is built and counted.
    small = {record_of(trials.trial("speech")): in_record(lambda r: r["cost"].update(parameters=9))}
    path = changed(trials.of("speech"), tmp_path / "b.zip", small)
    verdict = verify(open_bundle(path, strict.limits), strict, trials.paths)
    said = [str(one) for one in verdict.problems]
    assert len(said) == 2 and "parameters, not 9" in said[0] and "allows" in said[1]


def _with_parameters(rules: Rules, factor: float) -> Rules:
    same = rules.classes["same"].model_copy(update={"parameters": factor})
    return rules.model_copy(update={"classes": {"same": same}})


def test_rules_may_refuse_a_budget_or_a_class(trials) -> None:
    rules = trials.rules.model_copy(update={"budgets": ("gpu",)})
    bundle = open_bundle(trials.of("entailment"), rules.limits)
    said = [str(one) for one in verify(bundle, rules, trials.paths).problems]
    assert said and all("the budget smoke is none of gpu" in one for one in said)
    rules = trials.rules.model_copy(update={"classes": {"open": trials.rules.classes["open"]}})
    verdict = verify(bundle, rules, trials.paths)
    assert [str(one) for one in verdict.problems] == ["these rules have no class 'same'"]


def test_other_settings_in_a_record_are_found(trials, tmp_path: Path) -> None:
    def displaced(manifest: dict[str, Any]) -> None:
        manifest["mechanisms"]["soft"]["placement"] = "current-state"

    def stronger(record: dict[str, Any]) -> None:
        record["settings"] |= {"max_steps": 9999, "secret": True}

    def silent(record: dict[str, Any]) -> None:
        record["settings"] = {}

    for edit, expected in (
        (stronger, "trained with max_steps=9999, not 12"),
        (silent, "does not say"),
    ):
        changes = {record_of(trials.trial("entailment")): in_record(edit)}
        path = changed(trials.of("entailment"), tmp_path / "b.zip", changes, manifest=displaced)
        said = " ".join(trials.said(path))
        assert expected in said and ("secret=True, not known" in said) == (edit is stronger)
        assert "its placement is previous-state here" in said


def test_a_test_limit_is_never_allowed(trials, more, tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store", create=True)
    more(store, "entailment", "none", test_limit=5)
    submit(store, tmp_path / "b.zip", trials.rules, name="few", kind="open")
    assert any("test_limit must not be changed" in one for one in trials.said(tmp_path / "b.zip"))


def test_a_mechanism_that_is_not_installed_here(trials, more, tmp_path: Path, monkeypatch) -> None:
    """Its parameters are what its owner says; all else is checked as ever."""
    from bench.attention.registries import attentions

    class Mine(attentions.get("soft")):
        """Soft attention under another name, from a package of its own."""

    Mine.__module__ = "somebody.attention"
    monkeypatch.setitem(attentions._things, "mine", Mine)
    store = Store.open(tmp_path / "store", create=True)
    result = more(store, "translation", "mine", normaliser="sparsemax")
    submit(store, tmp_path / "b.zip", trials.rules, name="mine")
    assert not trials.verify(tmp_path / "b.zip").notes
    monkeypatch.delitem(attentions._things, "mine")
    verdict = trials.verify(tmp_path / "b.zip")
    assert not verdict.problems
    assert ["mine (somebody) is not installed here" in note for note in verdict.notes] == [True]
    huge = in_record(lambda record: record["cost"].update(parameters=10**8))
    path = changed(tmp_path / "b.zip", tmp_path / "huge.zip", {record_of(result.hash): huge})
    said = trials.said(path)
    assert len(said) == 1 and "100,000,000 parameters; its class 'same' allows" in said[0]


def test_a_setting_cannot_be_passed_off_as_an_option(trials, more, tmp_path: Path, monkeypatch):
    """Nobody here can look at the mechanism, so its manifest could say anything."""
    from bench.attention.registries import attentions

    class Mine(attentions.get("soft")):
        """Soft attention under another name."""

    monkeypatch.setitem(attentions._things, "mine", Mine)
    store = Store.open(tmp_path / "store", create=True)
    more(store, "translation", "mine", hidden_dim=48)
    submit(store, tmp_path / "b.zip", trials.rules, name="mine")
    monkeypatch.delitem(attentions._things, "mine")

    def hide(manifest: dict[str, Any]) -> None:
        manifest["mechanisms"]["mine"]["options"]["hidden_dim"] = 24

    path = changed(tmp_path / "b.zip", tmp_path / "lie.zip", {}, manifest=hide)
    assert any("calls hidden_dim an option of the attention" in one for one in trials.said(path))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("../../etc/passwd", "leads out of the data root"),
        ("/etc/passwd", "leads out of the data root"),
        (10**9, "is more than 1,000,000"),
        (-1e300, "is more than 1,000,000"),
        ([1], "neither number nor text"),
    ],
)
def test_options_can_name_no_file_elsewhere_and_no_monster(value: object, reason: str) -> None:
    cell = Cell("translation", "parallel", "soft", "concat", options={"train": value})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match=reason):
        well_formed(cell, Limits())


@pytest.mark.parametrize("value", ["de-en", "1,3,5", "", "folder/file.txt", 3, 0.5, True, None])
def test_plain_options_are_fine(value: object) -> None:
    cell = Cell("translation", "parallel", "soft", "concat", options={"x": value})  # type: ignore[dict-item]
    assert well_formed(cell, Limits()) is cell
