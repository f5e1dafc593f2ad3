from __future__ import annotations

import importlib.metadata
import os
import shutil
from pathlib import Path

import pytest
import torch

from ablations import study as study_files
from ablations.expansion import Changes, expand
from ablations.study import find_study, load_study, published, published_rows, read_study
from ablations.trial import run_trial
from ablations.trial_interface import TrialOptions
from bench.attention import BACKBONES
from bench.attention.registries import attentions
from bench.cli import main as cli
from bench.errors import UsageError
from bench.models import AttentionChoice, build_decoder, build_encoder
from bench.models.layers import VocabularyHead
from reports.leaderboard.checks import model_size
from tasks.base import Paths, datasets, tasks
from tasks.plan import refusal, resolve
from tasks.training.module import model_sizes

NAMES = sorted(path.stem for path in study_files.FOLDER.glob("*.yaml"))
PAPERS = [name for name in NAMES if load_study(name).paper is not None]


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (
            "blocks:\n  - attentions: all\n    scors: all\n",
            3,
            "key 'scors'; did you mean 'scores'?",
        ),
        ("titel: x\nblocks: []\n", 1, "key 'titel'; did you mean 'title'?"),
        ("seeds: 1\npaper:\n  nam: x\n  comparisons: []\n", 3, "did you mean 'name'?"),
        (
            "paper:\n  name: Luong 2015\n  comparisons:\n    - dataset: d\n      metric: m\n"
            "      rows:\n        global (dot): {attention: global, scor: dot}\n",
            7,
            "key 'scor'; did you mean 'score'?",
        ),
        ("title: x\nseeds: many\n", 2, "seeds"),
        ("seeds: 1\nseeds: 2\n", 2, "duplicate key 'seeds'"),
        ("blocks:\n  - attentions: [\n", 3, "not valid YAML"),
        ("seeds: 1\n\nblocks: none\n", 3, "blocks: Input should be a list"),
        ("blocks:\n  - tasks: []\n    attentions: all\n", 2, "tasks: an empty list makes no cells"),
        ("blocks:\n  - attentions: all\n  - seeds: 0\n", 3, "at least 1"),
        ("title: x\ntasks: speech\n", 2, "tasks: takes a list of names, or all, not speech"),
        (
            "blocks:\n  - attentions: [soft, [3]]\n",
            2,
            "blocks.0.attentions: takes a list of names, or all, not [soft, [3]]",
        ),
        ("blocks:\n  - scores: concat\n", 2, "blocks.0.scores: takes a list of names, or all, or"),
        ("datasets: multi30k\n", 1, "datasets: takes a list of names, or such lists by task, not"),
        ("options:\n  dropout: {a: 1}\n", 2, "options.dropout: takes values, or lists of values"),
        ("seeds: true\n", 1, "seeds: takes a number of seeds, or a list of seeds, not true"),
        ("seeds: [1, x]\n", 1, "seeds: takes a number of seeds, or a list of seeds, not [1, x]"),
        ("seeds: 1.5\n", 1, "not 1.5"),
        ("seeds: 20261125\n", 1, "means seeds 1 to 20261125; [20261125] is that seed alone"),
        ("seeds: [1, -1]\n", 1, "a whole number from 0"),
        ("blocks:\n  - attentions: all\n    seeds: [2, -1]\n", 2, "a whole number from 0"),
        (f"seeds: [{2**63}]\n", 1, "a whole number from 0"),
        ("name: ../elsewhere\n", 1, "name: a study's name is also the name of a folder"),
        ("name: ' '\n", 1, "name: a study's name is also the name of a folder"),
        ("title: &a [*a]\n", 1, "title: Input should be a valid string"),
        ("loop: &a [*a]\n", 1, "unknown key 'loop'"),
        ("title: x\nseeds: !!int abc\n", 2, "could not determine a constructor"),
        ("title: !!python/object/apply:os.getcwd []\n", 1, "could not determine a constructor"),
        ("title: x\nblocks:\n\t- attentions: all\n", 3, "not valid YAML (found character"),
        ("title: x\n---\ntitle: y\n", 2, "not valid YAML (but found another document"),
        ("title: x\nseeds: *none\n", 2, "not valid YAML (found undefined alias"),
        ("title: x\n? [a]\n: 1\n", 2, "not valid YAML (found unhashable key"),
        ("title: x\nnull: 1\n", 1, "Keys should be strings"),
        (f"title: x\n{900 * 'k'}: 1\n", 2, "unknown key 'kkk"),
        (f"title: x\ntasks: {5000 * 'k'}\n", 2, "tasks: takes a list of names, or all, not kkk"),
        (f"title: x\nseeds: {5000 * '9'}\n", 2, "seeds"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, line: int, said: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        read_study(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value).removeprefix(str(path))) < 300


@pytest.mark.parametrize(
    "content", [b"- a\n- b\n", b"", b"\xff\xfe", b"a: " + 3000 * b"[" + 3000 * b"]"]
)
def test_what_is_no_study_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"x\.yaml"):
        read_study(path)


def test_an_alias_is_looked_at_once(tmp_path: Path) -> None:
    lines = ["a: &a0 [x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join(9 * [f'*a{n - 1}'])}]" for n in range(1, 12)]
    with pytest.raises(UsageError, match="unknown key 'a'"):
        read_study(write(tmp_path, "\n".join(lines)))


@pytest.mark.parametrize("axis", ["attentions", "scores", "datasets", "seeds", "title"])
def test_what_aliases_multiply_is_not_written_out(tmp_path: Path, axis: str) -> None:
    nested = "&a0 [x, x]"
    for number in range(1, 12):
        nested = f"&a{number} [{nested}, {', '.join(8 * [f'*a{number - 1}'])}]"
    with pytest.raises(UsageError) as caught:
        read_study(write(tmp_path, f"{axis}: {nested}\n"))
    assert len(str(caught.value)) < 400


def test_merged_mappings_do_not_multiply(tmp_path: Path) -> None:
    lines = ["a0: &a0 {x: 1, y: 2}"]
    lines += [f"a{n}: &a{n} {{<<: [{', '.join(9 * [f'*a{n - 1}'])}]}}" for n in range(1, 12)]
    with pytest.raises(UsageError, match="too many keys"):
        read_study(write(tmp_path, "\n".join(lines)))


@pytest.mark.parametrize("kind", ["folder", "pipe", "device"])
def test_what_is_no_file_is_no_study(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.yaml"
    {"folder": path.mkdir, "pipe": lambda: os.mkfifo(path), "device": lambda: None}[kind]()
    with pytest.raises(UsageError, match="not a file; give a study's name or its file"):
        find_study("/dev/null" if kind == "device" else str(path))


AXES = {
    "attentions": "[none, soft]",
    "scores": "[concat]",
    "tasks": "[speech, translation]",
    "datasets": "{translation: [synthetic]}",
    "options": "{max_steps: [50, 60], learning_rate: 1e-3}",
    "gpu_options": "{max_steps: 70}",
    "seeds": "[3, 5]",
    "budget": "gpu",
}


@pytest.mark.parametrize("budget", [None, "laptop"])
def test_a_study_without_blocks_is_one_block(tmp_path: Path, budget: str | None) -> None:
    axes = [f"{name}: {value}" for name, value in AXES.items()]
    alone = read_study(write(tmp_path, "\n".join(axes)))
    block = read_study(write(tmp_path, "blocks:\n  - " + "\n    ".join(axes)))
    assert expand(alone, Changes(budget=budget)) == expand(block, Changes(budget=budget))
    for name in ("options", "seeds", "tasks"):  # beside blocks they are defaults of all of them
        mixed = [f"{name}: {AXES[name]}", "blocks:"]
        mixed += ["  - " + "\n    ".join(axis for axis in axes if not axis.startswith(name))]
        assert expand(read_study(write(tmp_path, "\n".join(mixed)))) == expand(alone)


def test_a_study_names_its_attentions(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="names no attentions; list them"):
        expand(read_study(write(tmp_path, "title: x\nscores: [dot]\n")))


#: Texts that YAML has other ideas of; what a number is made of them, and a truth.
TEXTS = ("no", "on", "2016", "007", "0100", "1e3", "0x10", "1_0", "2016-01-01", "1:30", ".inf", "=")


@pytest.mark.parametrize("text", TEXTS)
def test_options_that_are_texts_are_what_stands_there(tmp_path: Path, text: str) -> None:
    lines = ["tasks: [translation]", "datasets: [parallel]", "attentions: [none]"]
    options = f"options: {{source: {text}, target: [xx, '{text}'], train: \"{text}\"}}"
    cells = expand(read_study(write(tmp_path, "\n".join([*lines, options])))).cells
    assert [cell.options["target"] for cell in cells] == ["xx", text]
    assert {(cell.options["source"], cell.options["train"]) for cell in cells} == {(text, text)}


def test_options_are_read_by_their_types(tmp_path: Path) -> None:
    lines = ["tasks: [translation]", "attentions: [soft]", "scores: [dot]"]
    given = "{tie_embeddings: no, max_steps: 0100, learning_rate: 1e-3, precision: bf16, "
    lines.append(f"options: {given}attention_size: [null, 8]}}")
    cells = expand(read_study(write(tmp_path, "\n".join(lines)))).cells
    shared = {"tie_embeddings": False, "max_steps": 100, "learning_rate": 0.001}
    shared["precision"] = "bf16"
    assert [cell.options for cell in cells] == [shared, {**shared, "attention_size": 8}]
    for name in ("source: null", "max_steps: 1e3", "max_steps: 1.5", "tie_embeddings: 2"):
        path = write(tmp_path, "\n".join([*lines[:3], f"options: {{{name}}}"]))
        with pytest.raises(UsageError, match="--set"):
            expand(read_study(path))


def test_names_need_not_be_ascii(tmp_path: Path) -> None:
    assert read_study(write(tmp_path, "name: Où regarde-t-on\n")).name == "Où regarde-t-on"


def test_a_study_file_of_ones_own(tmp_path: Path) -> None:
    study = load_study(str(write(tmp_path, "title: Mine\nblocks:\n  - attentions: [none]\n")))
    assert (study.name, study.title) == ("mine", "Mine")
    assert [cell.attention for cell in expand(study).cells]


def test_unknown_studies_are_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'overview'"):
        find_study("overveiw")
    with pytest.raises(UsageError, match="no such file"):
        find_study("nowhere/overview.yaml")


def test_studies_of_other_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "blocks:\n  - attentions: [soft]\n")
    points = [
        importlib.metadata.EntryPoint("theirs", "some_studies:PATH", study_files.GROUP),
        importlib.metadata.EntryPoint("broken", "no_such_package:PATH", study_files.GROUP),
    ]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: points)
    (tmp_path / "some_studies.py").write_text(f"PATH = {str(path)!r}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.warns(UserWarning, match="study plugin 'broken'"):
        assert find_study("theirs") == path


@pytest.mark.parametrize("name", NAMES)
def test_our_studies_can_be_read_and_have_cells(name: str) -> None:
    study = load_study(name)
    assert study.name == name
    assert study.title
    assert study.description
    cells = expand(study).cells
    assert len({cell.hash for cell in cells}) == len(cells) > 0


@pytest.mark.parametrize("budget", [None, "gpu"])
@pytest.mark.parametrize("name", PAPERS)
def test_every_published_row_of_a_papers_study_has_cells(name: str, budget: str | None) -> None:
    study = load_study(name)
    assert study.paper is not None
    cells = expand(study, Changes(budget=budget)).cells
    for comparison in study.paper.comparisons:
        figures = published_rows(study.paper.name, comparison.dataset, comparison.metric)
        assert set(comparison.rows) <= set(figures)
        stand_ins = {row: comparison.cells(row, cells) for row in comparison.rows}
        for row, found in stand_ins.items():
            assert {cell.seed for cell in found} == {1, 2, 3}, row
            assert len(found) == 3, "one setting a row, else their mean would mix two"
            if figures[row].attention in attentions.names():
                assert figures[row].attention == found[0].attention
                assert figures[row].score in (found[0].score, "")
        hashes = [cell.hash for found in stand_ins.values() for cell in found]
        assert len(hashes) == len(set(hashes)), "no cell stands for two rows"


#: What stands for the data of each paper's kind, for `--dataset` and `--data-root`.
REAL = {
    "bahdanau2015": "multi30k",
    "britz2017": "multi30k",
    "chorowski2015": "fsdd",
    "cui2017": "sick",
    "gehring2017": "multi30k",
    "luong2015": "multi30k",
    "rocktaschel2016": "sick",
    "rush2015": "reuters21578",
    "vaswani2017": "multi30k",
    "xu2015": "flickr8k",
    "yang2016": "reuters21578",
}


@pytest.mark.parametrize(("name", "dataset"), REAL.items())
def test_papers_studies_run_on_data_of_their_kind(name: str, dataset: str) -> None:
    study = load_study(name)
    cells = expand(study, Changes(datasets=(dataset,), seeds=1)).cells
    assert {cell.dataset for cell in cells} == {dataset}
    named = [
        [cell.hash for cell in column.cells(row, cells)]
        for column in (study.paper.comparisons[:1] if study.paper else ())
        for row in column.rows
    ]
    assert all(len(found) <= 1 for found in named), "one setting a row"
    found = [hash for one in named for hash in one]
    assert len(found) == len(set(found)) and (len(found) > 1 or not study.paper)


@pytest.mark.parametrize("name", PAPERS)
def test_what_a_paper_is_compared_in_is_reported(name: str, tmp_path: Path) -> None:
    study = load_study(name)
    assert study.paper is not None
    named = {c.ours: c for c in study.paper.comparisons if c.ours != "primary"}
    if not named:
        return
    comparison = next(iter(named.values()))
    smoke = expand(study, Changes(budget="smoke")).cells
    cell = comparison.cells(next(iter(comparison.rows)), smoke)[0]
    result = run_trial(cell, TrialOptions(None, None, str(tmp_path)))
    alignment = {} if result.alignment is None else result.alignment.model_dump()
    reported = {*result.metrics, *(f"alignment/{figure}" for figure in alignment)}
    java = {"meteor"} if shutil.which("java") is None else set()
    assert set(named) - java <= reported


@pytest.mark.parametrize("budget", ["laptop", "gpu"])
@pytest.mark.parametrize("name", PAPERS)
def test_sizes_of_every_cell_fit_each_other(name: str, budget: str) -> None:
    cells = expand(load_study(name), Changes(budget=budget, seeds=1)).cells
    for plan in map(resolve, cells):
        choice = AttentionChoice(
            plan.attention, plan.cell.score, plan.attention_options, plan.backbone
        )
        sizes = model_sizes(plan.settings)
        with torch.device("meta"):  # shapes without numbers
            encoder = build_encoder(choice, sizes.embedding_dim, sizes)
            decoder = build_decoder(choice, encoder.output_size, 50, sizes)
        assert VocabularyHead(
            decoder.output_size, decoder.embedding, tied=plan.settings.tie_embeddings
        )


@pytest.mark.parametrize("name", NAMES)
def test_a_dry_run_of_our_studies(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    if any(
        datasets(cell.task).get(cell.dataset).external for cell in expand(load_study(name)).cells
    ):
        assert cli.main(["sweep", name, "--dry-run"]) == 2
        assert "needs its files" in capsys.readouterr().err
        return
    assert cli.main(["sweep", name, "--dry-run"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    count = len(expand(load_study(name)).cells)
    assert last == f"{count} cells, {count} to run"


def test_published_figures_are_those_of_the_papers() -> None:
    figures = published()
    assert len(figures) > 100
    row = published_rows("Bahdanau 2015", "WMT14 en-fr newstest2014", "BLEU")["RNNsearch-50"]
    assert (row.value, row.higher_is_better, row.certainty) == (26.75, True, "secondary")
    aer = published_rows("Luong 2015", "RWTH en-de alignments", "AER")
    assert aer["local-m (general)"].value == 0.34
    assert not aer["local-m (general)"].higher_is_better


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("Luong 2015", "Luong 2016"), "unknown paper 'Luong 2016'; did you mean 'Luong 2015'?"),
        (("dataset: WMT14", "dataset: WMT15"), "unknown published data set"),
        (("metric: BLEU", "metric: BLUE"), "unknown published metric 'BLUE'"),
        (("global (dot)", "global (dott)"), "unknown published row 'global (dott)'"),
    ],
)
def test_what_no_paper_published_is_refused(
    tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    text = (study_files.FOLDER / "luong2015.yaml").read_text()
    head, _, paper = text.partition("\npaper:")
    with pytest.raises(UsageError) as caught:
        read_study(write(tmp_path, head + "\npaper:" + paper.replace(*change)))
    assert said in str(caught.value)


@pytest.mark.parametrize("task", tasks.names())
def test_the_study_backbones_compares_models_of_one_size(task: str, tmp_path: Path) -> None:
    cells = expand(load_study("backbones"), Changes(tasks=[task], seeds=1)).cells
    valid = {
        (attention, backbone)
        for attention in load_study("overview").blocks[0].attentions or ()
        for backbone in BACKBONES
        if refusal(tasks.get(task), attention, attentions.get(attention).classic_score, backbone)
        is None
    }
    assert len(cells) == len(valid)
    plans = list(map(resolve, cells))
    assert {(plan.cell.attention, plan.backbone) for plan in plans} == valid
    data = plans[0].task.prepare(plans[0], Paths(None, tmp_path))
    sizes = [model_size(plan, data) for plan in plans]
    assert max(sizes) <= 1.1 * min(sizes), list(zip(cells, sizes, strict=True))
