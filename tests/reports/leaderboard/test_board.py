"""What the board says, and what it never does."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bundles import changed, in_record, member_of

from bench.errors import UsageError
from bench.store.result import Result
from reports.leaderboard.board import NO_REFERENCE, Board, assemble, build_board
from reports.leaderboard.board_tables import class_tables, setting_table, track_table, write_board
from reports.leaderboard.bundle import record_of
from reports.leaderboard.rules import (
    Reference,
    TrackSetting,
    load_reference,
    load_rules,
    make_reference,
)
from reports.leaderboard.verify import Verdict
from reports.load import contender_of
from reports.tables import LEGEND, UNCONVERGED, Missing, Number, Table
from tasks.plan import make_cell

TEXTS = ("translation", "entailment")


@pytest.fixture(scope="module")
def reference(trials) -> Reference:
    return make_reference([trials.store], "1", trials.rules)


@pytest.fixture(scope="module")
def two(trials) -> list[Path]:
    """Bundles of two people: one with both tasks, one with entailment only."""
    return [
        trials.of(*TEXTS, attentions=("soft", "none"), name="first"),
        trials.of("entailment", attentions=("global",), name="second"),
    ]


@pytest.fixture(scope="module")
def verdicts(trials, two) -> list[Verdict]:
    found = [trials.verify(path) for path in two]
    assert all(one.is_verified for one in found)
    return found


def scores(board: Board) -> dict[tuple[str, str], float]:
    """By title of the table and mechanism."""
    return {
        (table.title, row.label): entry.value
        for part in class_tables(board)
        for table in part.tables
        for row in table.rows
        for column, entry in zip(table.columns, row.entries, strict=True)
        if column.key.startswith("score") and isinstance(entry, Number)
    }


def test_reference_figures_are_mean_and_spread_of_the_mechanisms(trials, reference) -> None:
    assert {(one.task, one.mechanisms) for one in reference.settings} == {
        ("translation", 3),
        ("entailment", 3),
    }
    for one in reference.settings:
        values = [
            result.primary.value for (task, _), result in trials.results.items() if task == one.task
        ]
        assert one.mean == pytest.approx(np.mean(values))
        assert one.spread == pytest.approx(np.std(values, ddof=1))
        assert one.score(one.mean + 2 * one.spread) == pytest.approx(2.0)
    assert any("captioning" in line and "3 are needed" in line for line in reference.left_out)


def test_errors_score_the_other_way_round(reference) -> None:
    rate = reference.settings[0].model_copy(update={"higher_is_better": False})
    assert rate.score(rate.mean - rate.spread) == pytest.approx(1.0)


def test_a_reference_is_kept_and_never_changed(reference, tmp_path: Path) -> None:
    reference.write(tmp_path / "1.json")
    kept = load_reference(str(tmp_path / "1.json"))
    assert kept == reference.model_copy(update={"left_out": ()})
    with pytest.raises(UsageError, match="never changed"):
        reference.write(tmp_path / "1.json")
    (tmp_path / "2.json").write_text('{"version": "2"}')
    with pytest.raises(UsageError, match=r"made_with.*settings"):
        load_reference(str(tmp_path / "2.json"))
    with pytest.raises(UsageError, match="unknown reference"):
        load_reference("nobody's")


def test_a_later_entry_moves_nobody_s_score(trials, reference, verdicts) -> None:
    alone = scores(assemble(verdicts[:1], trials.rules, reference))
    together = scores(assemble(verdicts, trials.rules, reference))
    assert alone and alone.items() <= together.items() and len(together) > len(alone)


def test_entries_on_other_data_stand_apart_and_count_for_no_track(
    trials, reference, verdicts
) -> None:
    first, second = verdicts

    def elsewhere(result: Result) -> Result:
        other = result.provenance.model_copy(update={"data_fingerprint": "f" * 64})
        return result.model_copy(update={"provenance": other})

    moved = replace(second, results=tuple(map(elsewhere, second.results)))
    (board,) = assemble([first, moved], trials.rules, reference).classes
    own, other = [one for one in board.standings if one.setting.task == "entailment"]
    assert [entry.title for entry in own.entries] == ["first", "first"]
    assert [entry.title for entry in other.entries] == ["second"]
    assert not isinstance(own.reference, str)
    assert other.reference == "the reference was measured on other data"
    assert len({setting_table(one, "same").name for one in (own, other)}) == 2
    track = trials.rules.tracks[0]
    assert board.standing(track, track.settings[1]) is own
    table = track_table(board, track, trials.rules.seeds)
    assert table is not None
    assert {entry.text for row in table.rows for entry in row.entries[:1]} == {"first"}


def test_scores_are_those_of_the_figures(trials, reference, verdicts) -> None:
    board = assemble(verdicts, trials.rules, reference)
    for standing in board.classes[0].standings:
        table = setting_table(standing, "same")
        (found,) = reference.of(standing.setting)
        for row in table.rows:
            attention = row.label.split(" + ")[0]
            value = trials.results[standing.setting.task, attention].primary.value
            score = row.entries[[one.key for one in table.columns].index("score")]
            assert score.value == pytest.approx(found.score(value), abs=1e-6)
            assert score.low <= score.value <= score.high


def test_only_who_ran_everything_has_an_overall_score(trials, reference, verdicts) -> None:
    board = assemble(verdicts, trials.rules, reference)
    table = track_table(board.classes[0], trials.rules.tracks[0], trials.rules.seeds)
    assert isinstance(table, Table)
    by_name = {row.label: row.entries for row in table.rows}
    assert list(by_name)[-1] == "global + general"  # what is not complete comes last
    title, overall, run, *own = by_name["global + general"]
    assert (title.text, run.text) == ("second", "1 of 2")
    assert isinstance(overall, Missing) and overall.text == "not run: 1 of 2 settings"
    assert own[0] == Missing("not run") and isinstance(own[1], Number)
    _, overall, run, *own = by_name["soft + concat"]
    assert run.text == "2 of 2"
    assert overall.value == pytest.approx(np.mean([one.value for one in own]))
    assert overall.low < overall.value < overall.high and overall.group == 1
    assert any(
        note.startswith("With 1 seed, true differences") and "overall " in note
        for note in table.notes
    )


def test_what_had_not_converged_is_marked(trials, reference, verdicts, tmp_path: Path) -> None:
    def judged(result: Result) -> Result:
        ended = (result.cell.task, result.cell.attention) != ("entailment", "soft")
        return result.model_copy(update={"converged": ended})

    board = assemble(
        [replace(one, results=tuple(map(judged, one.results))) for one in verdicts],
        trials.rules,
        reference,
    )
    tables = {table.name: table for part in class_tables(board) for table in part.tables}
    track = next(table for name, table in tables.items() if "smoke-budget" in name)
    for row in track.rows:
        told = [one.converged for one in row.entries if isinstance(one, Number)]
        expected = [False, True, False] if row.label == "soft + concat" else [True] * len(told)
        assert told == expected, row.label
    for table in tables.values():
        if table is not track:
            open_end = [row.label for row in table.rows if row.converged is False]
            assert open_end == (["soft + concat"] if "entailment" in table.name else [])
    write_board(board, tmp_path)
    assert LEGEND in (tmp_path / "index.html").read_text("utf-8")
    assert f"soft + concat {UNCONVERGED}" in (tmp_path / "board.md").read_text("utf-8")


def test_groups_of_a_setting_come_with_what_they_can_show(trials, reference, verdicts) -> None:
    (found, *_) = assemble(verdicts, trials.rules, reference).classes[0].standings
    notes = " ".join(setting_table(found, "same").notes)
    assert "With one seed, what varies most" in notes and "on “test”" in notes


def test_a_short_cell_stays_on_one_line(trials, reference, verdicts, tmp_path: Path) -> None:
    write_board(assemble(verdicts, trials.rules, reference), tmp_path)
    page = (tmp_path / "index.html").read_text("utf-8")
    assert '<td class="text short">2 of 2</td>' in page
    style = (tmp_path / "site.css").read_text("utf-8")
    assert re.search(r"\.short\{[^}]*white-space:nowrap", style)
    assert "alignment, " in page and '<td class="text short">alignment, ' not in page


def test_without_a_reference_there_are_figures_and_no_scores(
    trials, verdicts, tmp_path: Path
) -> None:
    board = assemble(verdicts, trials.rules, None)
    assert scores(board) == {}
    write_board(board, tmp_path)
    page = (tmp_path / "index.html").read_text("utf-8")
    assert NO_REFERENCE in page and "no reference yet, so there are no scores" in page
    assert NO_REFERENCE in (tmp_path / "board.md").read_text("utf-8")


def test_other_test_examples_give_no_score(trials, reference, verdicts) -> None:
    elsewhere = reference.model_copy(
        update={
            "settings": tuple(
                one.model_copy(update={"test_set": "0" * 64}) for one in reference.settings
            )
        }
    )
    board = assemble(verdicts, trials.rules, elsewhere)
    assert scores(board) == {}
    assert all("other test examples" in str(one.reference) for one in board.classes[0].standings)


def test_what_is_refused_is_named_and_stops_nobody(trials, two, tmp_path: Path) -> None:
    def better(record) -> None:
        record["metrics"]["accuracy"] = 1.0

    name = record_of(trials.trial("entailment"))
    liar = changed(trials.of("entailment"), tmp_path / "liar.zip", {name: in_record(better)})
    (tmp_path / "broken.zip").write_bytes(b"PK")
    board = build_board(
        [liar, tmp_path / "broken.zip", *two, two[0]], trials.rules, None, trials.paths
    )
    assert [one.name.split()[0] for one in board.refused] == [
        "liar.zip",
        "broken.zip",
        two[0].name,
    ]
    assert "accuracy is" in board.refused[0].reasons[0]
    assert "not a zip archive" in board.refused[1].reasons[0]
    assert "the same bundle as" in board.refused[2].reasons[0]
    assert board.summary == "3 entries of 2 bundles, 3 bundles refused"
    write_board(board, tmp_path / "out")
    assert "accuracy is" in (tmp_path / "out" / "index.html").read_text("utf-8")


def test_classes_are_not_compared(trials, tmp_path: Path) -> None:
    same = trials.of("entailment", name="same")
    free = changed(same, tmp_path / "open.zip", {}, manifest=lambda m: m.update({"class": "open"}))
    board = build_board([same, free], trials.rules, None, trials.paths)
    assert [one.kind for one in board.classes] == ["same", "open"]
    assert [len(one.entries) for one in board.classes] == [1, 1]


def test_results_of_one_cell_from_two_people_stay_apart(trials, tmp_path: Path) -> None:
    one = trials.of("entailment", name="one")
    two = trials.of("entailment", name="two")
    board = build_board([one, two], trials.rules, None, trials.paths)
    assert [entry.title for entry in board.classes[0].entries] == ["one", "two"]
    table = setting_table(board.classes[0].standings[0], "same")
    assert [row.entries[1].group for row in table.rows] == [1, 1]


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>'])
def test_scripts_stay_text(trials, tmp_path: Path, text: str) -> None:
    """In the name of a bundle, in a sentence, in the reason against a bundle."""

    def says(tested) -> None:
        tested["examples"][0] = text

    name = member_of(trials.of("entailment"), trials.trial("entailment"))
    honest = changed(
        trials.of("entailment"), tmp_path / "honest.zip", {}, manifest=lambda m: m.update(name=text)
    )
    liar = changed(trials.of("entailment"), tmp_path / "liar.zip", {name: in_record(says)})
    board = build_board([honest, liar], trials.rules, None, trials.paths)
    assert any(text in reason for reason in board.refused[0].reasons)
    write_board(board, tmp_path / "out")
    for name in ("index.html", "board.md"):
        shown = (tmp_path / "out" / name).read_text("utf-8")
        assert text not in shown and "alert(1)" in shown
    page = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert len(re.findall(r"<script", page)) == 1 and "<img" not in page
    assert "default-src &#39;none&#39;" in page


def test_a_spreadsheet_takes_no_name_for_a_formula(trials, tmp_path: Path) -> None:
    path = changed(
        trials.of("entailment"),
        tmp_path / "b.zip",
        {},
        manifest=lambda record: record.update(name="=1+1"),
    )
    write_board(build_board([path], trials.rules, None, trials.paths), tmp_path / "out")
    for table in (tmp_path / "out" / "tables").iterdir():
        assert ",=1+1" not in table.read_text() and "\n=1+1" not in table.read_text()


def test_links_of_the_page_lead_somewhere(trials, verdicts, tmp_path: Path) -> None:
    write_board(assemble(verdicts, trials.rules, None), tmp_path)
    page = (tmp_path / "index.html").read_text("utf-8")
    for target in re.findall(r'href="([^"]+)"', page):
        if target.startswith("#"):
            assert f'id="{target[1:]}"' in page, target
        else:
            assert (tmp_path / target).exists(), target


def test_a_board_of_less_leaves_no_table_of_the_one_before(
    trials, verdicts, tmp_path: Path
) -> None:
    write_board(assemble(verdicts, trials.rules, None), tmp_path)
    before = {path.name for path in (tmp_path / "tables").iterdir()}
    write_board(assemble(verdicts[1:], trials.rules, None), tmp_path)
    after = {path.name for path in (tmp_path / "tables").iterdir()}
    assert after < before and {name for name in before - after if "translation" in name}


def test_a_folder_that_cannot_be_written(trials, verdicts, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    board = assemble(verdicts[1:], trials.rules, None)
    with pytest.raises(UsageError, match="cannot be written"):
        write_board(board, tmp_path / "file" / "out")


def test_what_a_store_lacks_for_a_reference_is_named(trials) -> None:
    rules = trials.rules.model_copy(update={"seeds": (1, 2)})
    partial = make_reference([trials.store], "1", rules)
    assert {one.task for one in partial.settings} == {"translation", "entailment"}
    said = " ".join(partial.left_out)
    assert "a mechanism has 1 of 2 seeds" in said and "freeze it again" in said
    with pytest.raises(UsageError, match="two stores have"):
        make_reference([trials.store, trials.store], "1", trials.rules)
    wide = trials.rules.tracks[0].model_copy(
        update={
            "settings": (
                *trials.rules.tracks[0].settings,
                TrackSetting.model_validate("speech/fsdd"),
            )
        }
    )
    open_track = trials.rules.model_copy(update={"tracks": (wide,)})
    assert "no reference of speech/fsdd" in " ".join(
        make_reference([trials.store], "1", open_track).left_out
    )


def test_entries_that_lack_a_seed_stand_on_the_board_as_open(
    trials, verdicts, tmp_path: Path
) -> None:
    rules = trials.rules.model_copy(update={"seeds": (1, 2)})
    board = build_board([one.bundle.path for one in verdicts], rules, None, trials.paths)
    assert not board.refused and len(board.open) == 5
    assert board.summary.endswith(", 5 lack a seed in a setting")
    table = track_table(board.classes[0], rules.tracks[0], rules.seeds)
    assert table is not None
    assert {row.entries[2].text for row in table.rows} == {
        "2 of 2, 2 of 4 seeds open",
        "1 of 2, 1 of 2 seeds open",
    }
    write_board(board, tmp_path)
    for name in ("index.html", "board.md"):
        assert "no result of seed 2" in (tmp_path / name).read_text("utf-8")


def test_options_that_a_track_gives_to_all_are_no_option_of_a_mechanism() -> None:
    rules = load_rules()
    cell = make_cell(
        "captioning", "soft", dataset="flickr8k", options={"features": "efficientnet-lite0"}
    )
    contender = contender_of(cell, rules.catalogue([cell]))
    assert contender.options == () and contender.name == "soft + concat"
    wanted = next(one for one in rules.tracks[1].settings if one.task == "captioning")
    assert rules.tracks[1].setting(wanted).options == (("features", "efficientnet-lite0"),)
