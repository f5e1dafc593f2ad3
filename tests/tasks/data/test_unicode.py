"""The one form that texts are compared in, wherever they are read."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.captioning.datasets import read_entries
from tasks.data.readers import read_rows
from tasks.data.rows import JsonRows, ParallelLines, ParquetRows, TextLines
from tasks.data.tokenizer import plain_words, words
from tasks.data.unicode import composed, is_unspaced, lowered

NFC, NFD = "Das M\u00e4dchen a\u00df \u00e9cl\u00e4r", "Das Ma\u0308dchen a\u00df e\u0301cla\u0308r"


@given(st.text())
def test_forms_of_a_text_are_one(text: str) -> None:
    forms = [unicodedata.normalize(form, text) for form in ("NFC", "NFD")]
    for make in (composed, lowered, lambda one: words(composed(one)), plain_words):
        assert make(forms[0]) == make(forms[1]) == make(text)
    assert composed(composed(text)) == composed(text)
    assert lowered(lowered(text)) == lowered(text)


def test_what_nobody_sees_is_left_out() -> None:
    assert composed("\ufeffco\u00adop\u200e") == "coop"
    assert composed("\u0645\u06cc\u200c\u062e") == "\u0645\u06cc\u200c\u062e"  # a joiner
    assert composed("\uff21 \ufb01 \u00b2") == "\uff21 \ufb01 \u00b2"  # compatibility forms


def test_lower_case_is_of_no_language() -> None:
    assert lowered("I \u0130") == "i i\u0307"
    assert lowered("\u039f\u0394\u039f\u03a3") == "\u03bf\u03b4\u03bf\u03c2"
    assert lowered("J\u030c") == "\u01f0"


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["女孩卖汽车", "a"], True),
        (["ฉันชอบ"], True),
        (["他用 PyTorch"], True),
        (["the sign 漢字 is old"], False),
        (["한국어를 배운다"], False),
        (["नगर ने पुल"], False),
        (["", "123 !"], False),
    ],
)
def test_scripts_without_blanks(texts: list[str], expected: bool) -> None:
    assert is_unspaced(texts) is expected


@pytest.mark.parametrize("reader", ["tsv", "jsonl", "json rows", "lines", "parquet", "captions"])
def test_every_reader_composes(reader: str, tmp_path: Path) -> None:
    name, path = "u\u0308ber", tmp_path / "texts.tsv"
    match reader:
        case "tsv":
            path.write_text(f"{name}\n{NFD}\n", "utf-8")
            [row] = read_rows(path)
            found = row.text("\u00fcber")
        case "jsonl" | "json rows":
            path = tmp_path / "texts.jsonl"
            # Escapes hide marks from whoever composes the line.
            path.write_text(json.dumps({name: f"x\n\u0301 {NFD}"}) + "\n", "utf-8")
            [row] = read_rows(path)
            found = row.text(name)
            assert found == f"x\n\u0301 {NFC}" == JsonRows(path, ("\u00fcber",))[0][0]
            found = found[4:]
        case "lines":
            path.write_text(f"{NFD}\n", "utf-8")
            rows = ParallelLines((TextLines(path, texts=True), TextLines(path, texts=True)))
            assert list(rows) == [rows[0]]
            found = rows[0][1]
        case "parquet":
            import pandas as pd

            path = tmp_path / "texts.parquet"
            pd.DataFrame({"text": [NFD]}).to_parquet(path)
            [found] = ParquetRows((path,), ("text",))[0]
        case _:
            path.write_text(f"image\tcaption\n1.png\t{NFD}\n", "utf-8")
            [entry], _ = read_entries(path)
            assert entry.text == NFC.lower()
            return
    assert found == NFC
