"""`attnbench try`: what goes in, what is said, and the page."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from kept import kept, own_input, small_cell

from bench.cli import main as cli
from bench.store.result import Trace
from bench.store.store import Store
from tasks.kept_model import load_model

TASKS = ("translation", "entailment", "captioning", "speech")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with a kept model of each task, and files to try."""
    folder = tmp_path_factory.mktemp("tried")
    store = Store.open(folder / "store", create=True)
    for task in TASKS:
        _, _, data = kept(store, small_cell(task), folder / "cache")
        own_input(data, task, 0, folder)
    return store


def asked(store: Store, task: str, *given: str) -> list[str]:
    return ["try", store.address, small_cell(task).hash[:10], *given]


def files(store: Store) -> dict[str, str]:
    folder = Path(store.address).parent
    return {"picture": str(folder / "0.png"), "sound": str(folder / "0.wav")}


def inputs(store: Store, task: str) -> list[str]:
    given = {
        "translation": ["--text", "ba <i>ko</i>"],
        "entailment": ["--text", "a b", "--hypothesis", "b c d"],
    }
    kind = {"captioning": "picture", "speech": "sound"}.get(task, "")
    return given.get(task) or [f"--{kind}", files(store)[kind]]


@pytest.mark.parametrize("task", TASKS)
def test_text_json_and_page_show_the_same(
    task: str, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    given = inputs(store, task)
    assert cli.main(asked(store, task, *given, "--json", "--page", str(page))) == 0
    record = json.loads(capsys.readouterr().out)
    cell = small_cell(task)
    assert (record["cell"], record["hash"]) == (cell.to_json(), cell.hash)
    trace = Trace.from_json(record["attention"])
    assert cli.main(asked(store, task, *given)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (record["output"][: len(lines[0])] or "(nothing)")
    shown = page.read_text(encoding="utf-8")
    assert "<script" not in shown
    assert not re.search(r"""(?:src|href)=["'](?!data:|#picture)""", shown)
    assert shown.count("<title>") - 1 + shown.count('title="') == trace.weights.size
    kind = {"captioning": "image/jpeg", "speech": "audio/wav"}.get(task, "")
    assert f"data:{kind};base64," in shown or not kind
    if task == "translation":
        assert "<dd>ba &lt;i&gt;ko&lt;/i&gt;</dd>" in shown
        assert any(line.startswith("</s>") for line in lines)


@pytest.mark.parametrize(
    ("task", "content"),
    [
        ("translation", b"ba ko\n"),
        ("entailment", b"a b\n\nb c d\n"),
        ("captioning", "picture"),
        ("speech", "sound"),
    ],
)
def test_standard_input_is_read(
    task: str,
    content: Any,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if isinstance(content, str):
        given: dict[str, Any] = {content: files(store)[content]}
        content = Path(given[content]).read_bytes()
    else:
        lines = [line for line in content.decode().splitlines() if line]
        given = dict(zip(("text", "hypothesis"), lines, strict=False))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert cli.main(asked(store, task, "--json")) == 0
    output = load_model(store, small_cell(task)).predict(**given)
    found = json.loads(capsys.readouterr().out)
    assert {name: found[name] for name in ("output", "figures")} == {
        "output": output.text,
        "figures": dict(output.figures),
    }


@pytest.mark.parametrize(
    ("task", "given", "said"),
    [
        ("translation", ["--picture", "x.png"], "--picture: a model of translation takes --text"),
        ("entailment", ["--text", "a"], "--hypothesis missing"),
        ("captioning", ["--picture", "nowhere.png"], "nowhere.png"),
        ("captioning", ["--picture", ""], "--picture: the path is empty"),
        ("speech", ["--sound", __file__], "not a sound file"),
        ("translation", ["--text", "a", "--set", "max_steps=3"], "unknown option of decoding"),
        ("translation", ["--text", "a", "--page", "no/where.html"], "its folder does not exist"),
        ("translation", [], "standard input: is empty; give --text"),
    ],
)
def test_what_is_of_no_use_is_said_in_a_line(
    task: str,
    given: list[str],
    said: str,
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert cli.main(asked(store, task, *given)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert said in captured.err


@pytest.mark.parametrize(("content", "said"), [(b"\xff\xfe", "not UTF-8"), (b"a\n", "1 lines")])
def test_standard_input_that_is_of_no_use(
    content: bytes,
    said: str,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert cli.main(asked(store, "entailment")) == 2
    assert said in capsys.readouterr().err
