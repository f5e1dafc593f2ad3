"""A published report: whose examples it shows, what it may overwrite, and what hosts need."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from exported import CELLS, SENTENCE, fill

from bench.cli.main import main
from bench.errors import UsageError
from reports.pages.publish import README, write_published
from reports.pages.report import build_report
from reports.pages.sharing import sharing_of
from tasks.base import datasets, tasks

SHOWN = {"generated", "shared"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory):
    return fill(tmp_path_factory.mktemp("private") / "runs")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory):
    """What an update of the report leaves: a single setting."""
    return fill(tmp_path_factory.mktemp("private") / "runs", ("generated",))


@pytest.fixture(scope="module")
def published(store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    assert write_published(build_report(store, studies=(), publish=True), folder)
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("name", CELLS)
def test_examples_are_shown_where_everybody_may_pass_them_on(published, name):
    said = f"{CELLS[name].dataset} {SENTENCE}".encode()
    there = [path for path, content in files(published).items() if said in content]
    assert bool(there) is (name in SHOWN)


def text_of(page: Path) -> str:
    return " ".join(page.read_text("utf-8").split())


@pytest.mark.parametrize("name", CELLS)
def test_pages_say_whether_examples_are_left_out(published, name):
    cell = CELLS[name]
    slug = f"{cell.task}-{cell.dataset.replace('_', '-')}-laptop"
    page = published / f"{slug}.html"  # of a setting, where its task has several
    of_setting = text_of(page if page.exists() else published / f"{cell.task}.html")
    [of_cell] = map(text_of, published.glob(f"cell-{slug}-*.html"))
    left_out = "attention maps are left out of this published report"
    assert (left_out in of_setting, left_out in of_cell) == (name not in SHOWN,) * 2
    assert ("What it wrote" in of_cell) is (name in SHOWN)
    credit = "Examples of snli are shown under its licence, CC BY-SA 4.0. Bowman"
    assert (credit in of_setting) is (name == "shared")


def test_everything_is_shown_to_the_user_alone(store, tmp_path):
    assert main(["report", store.address, "--out", str(tmp_path)]) == 0
    texts = b"\n".join(files(tmp_path).values())
    for cell in CELLS.values():
        assert f"{cell.dataset} {SENTENCE}".encode() in texts
    assert b"left out of this published report" not in texts


def test_notes_on_unreadable_examples_do_not_tell_where_the_store_lies(tmp_path):
    store = fill(tmp_path / "private" / "runs", ("generated",))
    for path in (tmp_path / "private" / "runs" / "trials").glob("*.predictions.jsonl"):
        path.write_text("{")
    assert str(tmp_path) in str(build_report(store, studies=()).sections[0].notes)
    write_published(build_report(store, studies=(), publish=True), tmp_path / "out")
    texts = b"\n".join(files(tmp_path / "out").values())
    assert str(tmp_path).encode() not in texts and b"predictions.jsonl" in texts


def test_messages_of_failures_and_the_place_of_the_store_stay(published, store):
    texts = b"\n".join(files(published).values())
    assert b"line 3" not in texts and b"the store has the message" in texts
    assert str(Path(store.address).parent).encode() not in texts


@pytest.mark.parametrize("task", tasks.names())
def test_every_data_set_is_shown_by_its_licence(task):
    for name, kind in datasets(task).items():
        found = sharing_of(task, name)
        assert found.shown is kind.shares_outputs()
        assert bool(found.notes) is kind.external
        assert all(kind.licence in note for note in found.notes)
    assert not sharing_of(task, "nobodys").shown
    assert not sharing_of("no.such.task", "synthetic").shown


def test_hosts_find_what_they_look_for(published):
    assert (published / ".nojekyll").read_bytes() == b""
    _, front, text = (published / README).read_text("utf-8").split("---\n", 2)
    said = yaml.safe_load(front)
    assert (said["sdk"], said["app_file"]) == ("static", "index.html")
    assert said["title"] == "Attention report: runs"
    assert len(said["short_description"]) <= 60
    assert "entailment: sick, laptop budget" in text and "CC BY-NC-SA 3.0" in text


def test_links_are_relative_and_lead_to_files(published):
    """No host lists a folder."""
    for page in published.glob("*.html"):
        text = page.read_text("utf-8")
        for link in re.findall(r'(?:href|src|data-file)="([^"#]+)', text):
            assert not re.match(r"[a-z]+:|/", link), (page.name, link)
            assert (published / link).is_file(), (page.name, link)


def test_an_update_replaces_the_report_and_nothing_else(store, small, tmp_path):
    out, fresh = tmp_path / "out", tmp_path / "fresh"
    write_published(build_report(store, studies=(), publish=True), out)
    mine = {"CNAME": b"example.org", "notes/about.html": b"mine"}
    for name, content in mine.items():
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_bytes(content)
    for folder in (out, fresh):
        write_published(build_report(small, studies=(), publish=True), folder)
    assert files(out) == {**files(fresh), **mine}


def test_what_a_report_for_the_user_showed_is_removed(store, tmp_path, capsys):
    for option in ("--out", "--publish"):
        assert main(["report", store.address, option, str(tmp_path)]) == 0
    texts = b"\n".join(files(tmp_path).values())
    assert f"sick {SENTENCE}".encode() not in texts
    assert not list((tmp_path / "attention").glob("*sick*"))


def test_the_front_matter_of_the_user_stays(small, tmp_path, capsys):
    front = "---\ntitle: Mine\nsdk: static\n---\n"
    (tmp_path / README).write_text(front)
    for _ in range(2):
        assert main(["report", small.address, "--publish", str(tmp_path)]) == 0
        assert (tmp_path / README).read_text() == front
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("GitHub Pages: ") and lines[2].startswith("Hugging Face: ")
    assert "README.md there is yours and stays" in lines[2]


def test_a_changed_front_matter_stays_and_an_unchanged_one_is_renewed(store, small, tmp_path):
    report, update = (build_report(one, studies=(), publish=True) for one in (store, small))
    write_published(report, tmp_path)
    before = (tmp_path / README).read_text()
    assert write_published(update, tmp_path)
    assert (tmp_path / README).read_text() != before
    (tmp_path / README).write_text(before.replace("Attention report", "Mine"))
    assert not write_published(report, tmp_path)
    assert "title: 'Mine: runs'" in (tmp_path / README).read_text()


def test_a_page_of_the_user_is_not_overwritten(small, tmp_path):
    (tmp_path / "index.html").write_text("mine")
    with pytest.raises(UsageError, match=r"index\.html is there already") as caught:
        write_published(build_report(small, studies=(), publish=True), tmp_path)
    assert "\n" not in str(caught.value)
    assert files(tmp_path) == {"index.html": b"mine"}


def test_one_place_is_named(small, tmp_path, capsys):
    words = ["report", small.address, "--out", str(tmp_path), "--publish", str(tmp_path)]
    assert main(words) == 2
    assert main(["report", small.address, "--publish", ""]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2
