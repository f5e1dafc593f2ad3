"""Caption tokens: what the Stanford tokeniser makes of captions, without Java."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.captioning.metrics import caption_tokens, normalised
from tasks.data.tokenizer import words

DATA = Path(os.environ.get("ATTNBENCH_DATA") or Path(__file__).parents[4] / "shared" / "data")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "A black dog, and a spotted dog , are fighting .",
            "a black dog and a spotted dog are fighting",
        ),
        ("The dog's toys don't float; they'll sink!", "the dog 's toys do n't float they 'll sink"),
        ("dogs' toys", "dogs toys"),
        ("I can't and cannot", "i ca n't and can not"),
        (
            "A T-shirt at 10:30 a.m. costs $3.50 or 1,000 ...",
            "a t-shirt at 10:30 a.m. costs $ 3.50 or 1,000",
        ),
        ("Mr. Smith (left) of the U.S. team", "mr. smith left of the u.s. team"),
        ("“Don’t” – she says…", "do n't she says"),
        ("He's gonna go, o'clock", "he 's gon na go o'clock"),
        ("red &amp; black", "red & black"),
        ("a man -- a plan - a dog", "a man a plan a dog"),
        ("''quoted'' `text`", "quoted text"),
        ("Café número 5", "café número 5"),
        (" . ,", ""),
        ("", ""),
    ],
)
def test_tokens(text: str, expected: str) -> None:
    assert normalised(text) == expected


@given(st.text(alphabet=st.sampled_from("abcnst'’. -&;:,10(“)é\n\t"), max_size=30) | st.text())
def test_tokens_stay_the_same_when_cut_again(text: str) -> None:
    once = caption_tokens(text)
    assert all(token and not any(map(str.isspace, token)) for token in once)
    assert caption_tokens(" ".join(once)) == once


@pytest.mark.data
@pytest.mark.skipif(shutil.which("java") is None, reason="no java on the PATH")
@pytest.mark.skipif(
    not (DATA / "flickr8k").is_dir(), reason=f"no flickr8k in {DATA} (set ATTNBENCH_DATA)"
)
def test_agrees_with_the_stanford_tokenizer(tmp_path: Path) -> None:
    from pycocoevalcap.tokenizer import ptbtokenizer

    jar = Path(ptbtokenizer.__file__).with_name(ptbtokenizer.STANFORD_CORENLP_3_4_1_JAR)
    lines = (DATA / "flickr8k" / "Flickr8k.token.txt").read_text("utf-8").splitlines()
    captions = [line.split("\t")[1] for line in lines]
    (tmp_path / "captions").write_text("\n".join(captions) + "\n", "utf-8")
    command = ["java", "-cp", str(jar), "edu.stanford.nlp.process.PTBTokenizer"]
    found = subprocess.run(
        [*command, "-preserveLines", "-lowerCase", str(tmp_path / "captions")],
        capture_output=True,
        text=True,
        check=True,
    )
    # In lower case the tool writes brackets as -lrb-, which the list to drop has in capitals.
    dropped = {*ptbtokenizer.PUNCTUATIONS, "-lrb-", "-rrb-", "-lsb-", "-rsb-"}
    theirs = [
        " ".join(word for word in line.split() if word not in dropped)
        for line in found.stdout.splitlines()
    ]
    assert len(theirs) == len(captions)
    different = [
        text for text, other in zip(captions, theirs, strict=True) if normalised(text) != other
    ]
    assert len(different) <= len(captions) / 3000, different


def test_words_of_a_normalised_caption_are_what_tokenizers_count() -> None:
    from tasks.data.tokenizer import Tokenizer

    text = normalised("A man's T-shirt isn't red & blue.")
    tokenizer = Tokenizer.train([text], kind="word", size=0)
    ids = tokenizer.encode_batch([text])[0]
    assert tokenizer.words(ids)[0] == words(text)
    assert normalised(tokenizer.decode(ids)) == text
