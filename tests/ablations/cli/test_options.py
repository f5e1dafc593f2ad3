from __future__ import annotations

from pathlib import Path

import pytest

from ablations.cli.options import settings_of
from ablations.inputs import data_root_of
from bench.errors import UsageError


def test_values_are_texts() -> None:
    given = ["a=1", "b=no", "e=", "f=x=y", " g = 0100", "h=[1, 2]", "i={", "j=null", "k=\t"]
    assert settings_of(given) == {
        "a": "1",
        "b": "no",
        "e": "",
        "f": "x=y",
        "g": " 0100",
        "h": "[1, 2]",
        "i": "{",
        "j": "null",
        "k": "\t",
    }


def test_the_last_of_a_name_counts() -> None:
    assert settings_of(["a=1", "a=2"]) == {"a": "2"}


@pytest.mark.parametrize("pair", ["steps", "=1", " =1", 5000 * "x"])
def test_what_is_no_key_and_value_is_refused(pair: str) -> None:
    with pytest.raises(UsageError, match="--set") as caught:
        settings_of([pair])
    assert len(str(caught.value)) < 300


def test_data_roots_are_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    assert data_root_of("data") == tmp_path / "data"
    assert data_root_of(None) is None
    with pytest.raises(UsageError, match="--data-root nowhere: no such folder"):
        data_root_of("nowhere")
