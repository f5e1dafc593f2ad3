"""Multi30k: the published layout, its phrase links; the real files where they are."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from bench.errors import UsageError
from tasks.base import DatasetOptions, datasets
from tasks.data.tokenizer import words
from tasks.translation.datasets.multi30k import (
    Multi30k,
    Multi30kOptions,
    find_phrase,
    read_phrase_links,
)


def check(name: str, root: Path | None, options: DatasetOptions) -> list[str]:
    return datasets("translation").get(name).check(options, root)


DATA = Path(os.environ.get("ATTNBENCH_DATA") or Path(__file__).parents[5] / "shared" / "data")
real = pytest.mark.skipif(
    not (DATA / "multi30k").is_dir(), reason=f"no multi30k in {DATA} (set ATTNBENCH_DATA)"
)

LINES = {
    "en": ["A man's dog.", "A cat sees a cat.", "Two birds sing."],
    "fr": ["Le chien d’un homme.", "Un chat voit un chat.", "Deux oiseaux chantent."],
    "de": ["Der Hund eines Mannes.", "Eine Katze sieht eine Katze.", "Zwei Vögel singen."],
}
LINKS = [
    {"line": 0, "links": [["A man", "un homme"], ["dog", "le chien"], ["A man 's dog", "chien"]]},
    {"line": 1, "links": [["a cat", "un chat"]]},
    {"line": 2, "links": [["Two birds", "deux OISEAUX"], ["three birds", "deux oiseaux"]]},
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "multi30k"
    (folder / "en_fr_phrase_links").mkdir(parents=True)
    for split in ("train", "val", "test_2016_flickr"):
        for language, lines in LINES.items():
            (folder / f"{split}.{language}").write_text("\n".join(lines) + "\n", "utf-8")
        (folder / "en_fr_phrase_links" / f"{split}.json").write_text(json.dumps(LINKS))
    return tmp_path


@pytest.mark.parametrize("pair", ["de-en", "en-de", "fr-en", "en-fr", "de-fr", "fr-de"])
def test_every_pair_of_languages(root: Path, pair: str) -> None:
    options = Multi30kOptions.model_validate({"pair": pair})
    corpus = Multi30k.load(options, root)
    source, target = pair.split("-")
    assert [one.source_text for one in corpus.train] == LINES[source]
    assert [one.target_text for one in corpus.tests["test_2016_flickr"]] == LINES[target]
    linked = [one.links is not None for one in corpus.tests["test_2016_flickr"]]
    assert linked == ([True, False, True] if "de" not in pair else [False] * 3)
    assert corpus.sure is False
    assert Multi30k.load(options, root / "multi30k").fingerprint == corpus.fingerprint
    assert check("multi30k", root, options) == []


def test_another_pair_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValidationError, match=r"'de-en'.*'fr-de'"):
        Multi30kOptions.model_validate({"pair": "en-cs"})


def test_links_join_all_words_of_both_phrases(root: Path) -> None:
    corpus = Multi30k.load(Multi30kOptions(pair="fr-en"), root)
    first, _, third = corpus.tests["test_2016_flickr"]
    assert first.source == ("Le", "chien", "d’", "un", "homme", ".")
    assert first.target == ("A", "man", "'s", "dog", ".")
    # (target, source): [A man] - [un homme], [dog] - [Le chien], and "A man 's dog" - [chien].
    expected = {(0, 3), (0, 4), (1, 3), (1, 4), (3, 0), (3, 1), (0, 1), (1, 1), (2, 1)}
    assert first.links is not None and set(first.links) == expected
    assert third.links == ((0, 0), (0, 1), (1, 0), (1, 1))
    turned = Multi30k.load(Multi30kOptions(pair="en-fr"), root).tests["test_2016_flickr"][0]
    assert turned.links is not None and {(s, t) for t, s in turned.links} == expected


def test_what_cannot_be_placed_is_counted(root: Path) -> None:
    corpus = Multi30k.load(Multi30kOptions(pair="en-fr"), root)
    # "a cat" stands twice in its line, "three birds" not at all.
    assert corpus.notes[-1] == (
        "test_2016_flickr: 4 of 6 phrase links found in the text, 2 dropped"
    )


def test_without_links_the_pairs_are_there(root: Path) -> None:
    for path in (root / "multi30k" / "en_fr_phrase_links").iterdir():
        path.unlink()
    corpus = Multi30k.load(Multi30kOptions(pair="en-fr"), root)
    assert corpus.tests["test_2016_flickr"][0].links is None
    assert "no phrase links" in corpus.notes[0]


@pytest.mark.parametrize(
    "content", ["", "[1]", '{"line": 0}', '[{"line": 0}]', '[{"line": 9, "links": []}]', "[{"]
)
def test_bad_links_files(root: Path, content: str) -> None:
    path = root / "multi30k" / "en_fr_phrase_links" / "val.json"
    path.write_text(content)
    with pytest.raises(UsageError) as caught:
        read_phrase_links(path, LINES["en"], LINES["fr"], ("en", "fr"))
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_finding_phrases() -> None:
    line = words("The cat's cat sees l'eau.")
    assert find_phrase("the cat", line) == [range(2)]
    assert find_phrase("CAT", line) == [range(1, 2), range(3, 4)]
    assert find_phrase("l' eau", line) == [range(5, 7)]
    assert find_phrase("ca", line) == []
    assert find_phrase("at", line) == []
    assert find_phrase(" ", line) == []


def test_missing_data(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--data-root"):
        Multi30k.load(Multi30kOptions(), None)
    with pytest.raises(UsageError, match="no such folder"):
        Multi30k.load(Multi30kOptions(), tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"train\.de: 6 problems, the first: no such file"):
        Multi30k.load(Multi30kOptions(), tmp_path)


@real
@pytest.mark.data
def test_the_real_files() -> None:
    corpus = Multi30k.load(Multi30kOptions(pair="en-fr"), DATA)
    assert (len(corpus.train), len(corpus.validation)) == (29_000, 1_014)
    tested = corpus.tests["test_2016_flickr"]
    assert len(tested) == 1_000
    linked = [pair for pair in tested if pair.links]
    assert len(linked) > 970
    for pair in linked:
        for target, source in pair.links or ():
            assert 0 <= target < len(pair.target) and 0 <= source < len(pair.source)
    _, found, _, listed, *_ = corpus.notes[-1].split()
    assert int(listed) == 3_304 and int(found) / 3_304 > 0.94
    assert check("multi30k", DATA, Multi30kOptions(pair="de-en")) == []
