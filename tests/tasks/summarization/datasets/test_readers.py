"""Readers of Reuters, of JSON lines and of the hub's cards, and what users get wrong."""

from __future__ import annotations

import io
import json
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.errors import UsageError
from tasks.base import DatasetOptions, datasets
from tasks.summarization.datasets import SummaryCorpus
from tasks.summarization.datasets.cnn_dailymail import CNN_DAILYMAIL
from tasks.summarization.datasets.gigaword import GIGAWORD
from tasks.summarization.datasets.reuters21578 import clean_stories, paragraphs
from tasks.summarization.datasets.xsum import XSUM


def check(name: str, root: Path | None, options: DatasetOptions) -> list[str]:
    return datasets("summarization").get(name).check(options, root)


CARDS = {card.name: card for card in (XSUM, GIGAWORD, CNN_DAILYMAIL)}


def load(name: str, root: Path | None, **options: Any) -> SummaryCorpus:
    kind = datasets("summarization").get(name)
    return kind.load(kind.Options(**options), root)


def problems(name: str, root: Path | None, **options: Any) -> list[str]:
    return check(name, root, datasets("summarization").get(name).Options(**options))


# Reuters

LEAD = "Company number {n} said that it will buy\neverything. It did not say why."


def story(n: int, **changes: str) -> dict[str, str]:
    body = f"{LEAD.format(n=n)}\n    It is in No. {n} street.\n Reuter\n\u0003"
    return {"title": f"COMPANY {n} TO BUY ALL", "body": body, "id": str(n), **changes}


def write_stories(root: Path, stories: list[dict[str, str]], files: int = 2) -> Path:
    folder = root / "reuters21578"
    folder.mkdir(parents=True)
    size = -(-len(stories) // files)
    for number in range(files):
        part = stories[number * size : (number + 1) * size]
        (folder / f"reuters-{number:03d}.json").write_text(json.dumps(part), "utf-8")
    return folder


def test_reuters_is_split_by_time(tmp_path: Path) -> None:
    write_stories(tmp_path, [story(n) for n in range(1600)])
    corpus = load("reuters21578", tmp_path)
    assert [len(part) for part in corpus.splits.values()] == [100, 500, 1000]
    first = corpus.train[0]
    assert first.id == "reuters-0" and first.summary == ("company", "0", "to", "buy", "all")
    assert [" ".join(sentence) for sentence in first.sentences] == [
        "company number 0 said that it will buy everything .",
        "it did not say why .",
    ]
    assert corpus.tests["test"][-1].id == "reuters-1599"
    assert corpus.notes[0].startswith("headlines are in capitals, so both sides are lower-cased")
    assert "1600 of 1600 stories kept, in order of time 100 / 500 / 1000" in corpus.notes[1]


def test_whole_stories_keep_their_sentences_as_segments(tmp_path: Path) -> None:
    write_stories(tmp_path, [story(n) for n in range(1501)])
    whole = load("reuters21578", tmp_path, source="document").train[0]
    assert len(whole.sentences) == 3 and whole.sentences[2][-1] == "."
    assert "reuter" not in whole.words
    cut = load("reuters21578", tmp_path, source="document", source_words=12).train[0]
    assert len(cut.words) == 12


def test_reuters_is_cleaned(tmp_path: Path) -> None:
    table = "Shr loss 94 cts vs profit 28 cts\n    Net loss 1.9 mln vs profit 565,000"
    stories = [
        story(1),
        story(2, title=""),
        story(3, body=""),
        story(4, body="Too short a lead.\n    But then it goes on."),
        story(5, body="long " * 61),
        story(6, title="Two words"),
        story(7, title="w " * 16),
        story(8, body=table),
        story(9, body="Qtly div 22 cts prior 22 cts and so it goes"),
        story(10, body=story(1)["body"]),
        story(11, body="It said that profits were 12 mln dlrs vs 10 mln dlrs a year ago."),
    ]
    dropped: Counter[str] = Counter()
    kept = list(clean_stories(write_stories(tmp_path, stories), dropped))
    assert [one.id for one in kept] == ["reuters-1", "reuters-11"]
    assert dropped == {
        "without headline or text": 2,
        "with a lead not of 8 to 60 words": 2,
        "with a headline not of 3 to 15 words": 2,
        "tables of earnings": 2,
        "with a lead seen before": 1,
    }


def test_paragraphs_begin_with_blanks_and_the_signature_goes() -> None:
    body = "First line\nsecond line.\n    Next.\n\tTabbed.\n\nApart.\n REUTER\n\x03"
    assert list(paragraphs(body)) == ["First line second line.", "Next.", "Tabbed.", "Apart."]
    assert list(paragraphs("")) == []
    assert list(paragraphs("Only one.")) == ["Only one."]


def test_reuters_errors(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected a folder reuters21578"):
        load("reuters21578", tmp_path)
    folder = write_stories(tmp_path, [story(n) for n in range(10)])
    with pytest.raises(UsageError, match="only 10 usable stories; more than 1500 are needed"):
        load("reuters21578", tmp_path)
    path = folder / "reuters-001.json"
    path.write_text('[{"title": "a",\n "body": ')
    assert problems("reuters21578", tmp_path)[0].startswith(f"{path}:2: not JSON")
    path.write_text('[{"title": ["a"], "body": "b"}]')
    with pytest.raises(UsageError, match=r"001\.json, story 1: 'title' is no text"):
        load("reuters21578", tmp_path)
    path.write_text('["a"]')
    with pytest.raises(UsageError, match=r"001\.json, story 1: not a JSON object"):
        load("reuters21578", tmp_path)
    path.write_text("{}")
    with pytest.raises(UsageError, match="not a JSON list of stories"):
        load("reuters21578", tmp_path)
    for file in folder.iterdir():
        file.unlink()
    with pytest.raises(UsageError, match=r"no reuters-\*\.json in it"):
        load("reuters21578", tmp_path)


# JSON lines


def write_lines(path: Path, rows: list[Any]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def rows(count: int) -> list[dict[str, str]]:
    return [{"document": f"It is {n}. So be it.", "summary": f"Is {n}"} for n in range(count)]


def test_json_lines_stay_on_disk(tmp_path: Path) -> None:
    write_lines(tmp_path / "train.jsonl", rows(20))
    write_lines(tmp_path / "test.jsonl", rows(3))
    corpus = load("jsonl", tmp_path)
    assert [len(part) for part in corpus.splits.values()] == [18, 2, 3]
    assert corpus.train[17].sentences == (("it", "is", "17", "."), ("so", "be", "it", "."))
    assert [document.id for document in corpus.validation] == ["train-19", "train-20"]
    assert list(corpus.train) == [corpus.train[place] for place in range(18)]
    assert corpus.limited(train=2).train[1] == corpus.train[1]
    assert problems("jsonl", tmp_path) == []


def test_fields_files_casing_and_length_are_options(tmp_path: Path) -> None:
    write_lines(tmp_path / "all.jsonl", [{"text": "A B C", "title": "D"}] * 2)
    corpus = load(
        "jsonl", tmp_path, train_file="all.jsonl", validation_file="all.jsonl",
        test_file="all.jsonl", source_field="text", summary_field="title", source_words=2,
        lower=False,
    )  # fmt: skip
    assert [len(part) for part in corpus.splits.values()] == [2, 2, 2]
    assert corpus.train[0].words == ("A", "B") and corpus.notes == ()


def test_empty_documents_are_counted(tmp_path: Path) -> None:
    write_lines(tmp_path / "train.jsonl", rows(20))
    write_lines(tmp_path / "test.jsonl", [*rows(1), {"document": " ", "summary": "x"}, *rows(1)])
    corpus = load("jsonl", tmp_path)
    assert len(corpus.tests["test"]) == 2
    path = tmp_path / "test.jsonl"
    assert corpus.notes[1:] == (
        f"1 documents without source or summary left out (first: {path}, number 2)",
    )


def test_bad_lines_of_json_are_all_found(tmp_path: Path) -> None:
    write_lines(tmp_path / "train.jsonl", rows(20))
    path = tmp_path / "test.jsonl"
    path.write_text('{"document": "a"}\n{"document"\n{"document": "a", "summary": null}\n')
    with pytest.raises(UsageError, match=r"test\.jsonl:2: 3 problems, the first: not JSON"):
        load("jsonl", tmp_path)
    found = problems("jsonl", tmp_path)
    assert [line.removeprefix(str(path)).split(";")[0] for line in found] == [
        ":2: not JSON (Expecting ':' delimiter at column 12)",
        ":3: column 'summary': expected text, got NoneType",
        ":1: no column 'summary'",  # last, since lines that lack it are counted
    ]


def test_missing_files_and_roots(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--data-root: .* folder that holds train\.jsonl"):
        load("jsonl", None)
    assert (
        "No such file" in problems("jsonl", tmp_path)[0]
        or "no such" in problems("jsonl", tmp_path)[0]
    )


# Cards


def parquet(**columns: list[str]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def archive(**members: str) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as opened:
        for name, text in members.items():
            opened.writestr(f"org_data/{name.replace('_', '.')}.txt", text)
    return sink.getvalue()


BODIES = {
    "xsum": parquet(
        document=["A dog ran.\nIt was fast.", ""], summary=["Dog runs", "x"], id=["1", "2"]
    ),
    "cnn_dailymail": parquet(
        article=["A dog ran. It was fast."], highlights=["Dog runs .\nFast dog ."], id=["1"]
    ),
}


@pytest.mark.parametrize("name", ["xsum", "cnn_dailymail"])
def test_parquet_cards_are_read_from_where_they_are_fetched_to(tmp_path: Path, name: str) -> None:
    card = CARDS[name]
    for file in card.remote_files():
        path = card.folder(tmp_path) / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(BODIES[name])
    corpus = load(name, tmp_path)
    assert len(corpus.train) == len(card.files["train"])
    document = corpus.tests["test"][0]
    assert document.sentences == (("a", "dog", "ran", "."), ("it", "was", "fast", "."))
    assert document.summary[:2] == ("dog", "runs")
    assert corpus.notes[0] == f"{card.identifier} at {card.revision}"
    assert any("left out" in note for note in corpus.notes) == (name == "xsum")
    assert load(name, tmp_path, source_words=3, lower=False).train[0].words == ("A", "dog", "ran")
    assert problems(name, tmp_path) == []


def test_gigaword_is_read_from_lines(tmp_path: Path) -> None:
    folder = GIGAWORD.folder(tmp_path)
    for names in GIGAWORD.files.values():
        for name, text in zip(
            names, ("japan 's <unk> fell #.# pct\n", "<unk> falls\n"), strict=True
        ):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
    document = load("gigaword", tmp_path).train[0]
    assert document.words[:4] == ("japan", "'s", "unk", "fell")
    assert document.summary == ("unk", "falls")


def test_cards_that_were_not_fetched_say_how(tmp_path: Path) -> None:
    for name in CARDS:
        with pytest.raises(UsageError, match=f"`attnbench data download {name} --data-root"):
            load(name, tmp_path)


def test_addresses_of_the_cards() -> None:
    assert XSUM.source == "EdinburghNLP/xsum on the hub, at refs/convert/parquet"
    assert XSUM.files["test"] == ("default/test/0000.parquet",)
    assert CNN_DAILYMAIL.remote_files()[2].endswith("train-00002-of-00003.parquet")
    assert GIGAWORD.remote_files() == ("data/ggw_data.zip",)
    for card in (GIGAWORD, CNN_DAILYMAIL):
        assert len(card.revision) == 40 and int(card.revision, 16)
    for name, card in CARDS.items():
        kind = datasets("summarization").get(name)
        assert kind.card is card and kind.licence and kind.citation
