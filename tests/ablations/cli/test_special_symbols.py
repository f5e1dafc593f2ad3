"""Texts that spell the symbols with which vocabularies and losses mark begin, end, padding and the
unknown: they are words like any other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from own_data import OWN

from bench.cli import main as cli
from tasks.data.vocabulary import SPECIALS

SYMBOLS = " ".join((*SPECIALS, "<blank>", "[UNK]"))
#: A word of every example that symbols take the place of.
WORDS = {
    "translation": ("haus", "house"),
    "captioning": ("square",),
    "entailment": ("dog", "animal"),
    "speech": ("tone",),
    "summarization": ("town", "bridge"),
}


@pytest.mark.parametrize(
    ("task", "options"),
    [
        *((task, ()) for task in sorted(WORDS)),
        ("translation", ("tokenizer=bpe", "vocab_size=60")),
        ("speech", ("units=words",)),
        ("speech", ("units=phones", "lexicon=words.dic")),
    ],
)
def test_symbols_are_words(
    task: str,
    options: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("ATTNBENCH_DATA", raising=False)
    root = tmp_path / "data"
    root.mkdir()
    OWN[task].write(root)
    for path in root.iterdir():
        if path.is_file() and path.suffix != ".png":
            text = path.read_text("utf-8")
            for word in WORDS[task]:
                text = text.replace(word, SYMBOLS)
            path.write_text(text, "utf-8")
    (root / "words.dic").write_text("".join(f"{one} {one} x\n" for one in f"a b {SYMBOLS}".split()))
    given = [part for option in options for part in ("--set", option)]
    layout = [part for option in OWN[task].options for part in ("--set", option)]
    own = given if task == "speech" else []
    assert cli.main(["data", "check", OWN[task].dataset, str(root), *layout, *own]) == 0
    capsys.readouterr()
    command = [*OWN[task].command(task, root), *given, "--set", "max_steps=2", "--json"]
    assert cli.main(command) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "done"
