"""Strategies: odd values, and files and JSON that were good before something happened to them."""

from __future__ import annotations

import copy
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

Draw = Callable[[st.SearchStrategy[Any]], Any]

#: Texts that have surprised somebody.
ODD_TEXTS = (
    "", " ", "0", "-1", "00", "1_0", "0x_", "1e999", "nan", "inf", "-0", "1" * 5000, "no", "null",
    "~", "true", "2001-02-30", "!!int abc", "!x y", "&a [*a]", "*a", "[", "[" * 3000, "{a: ",
    "a: b", "{}", "[]", "- 1", "? x", "|", "%", "@", "`", "'", '"', "#", "\\", "a=b", "=", ",",
    "a,b", ":", "\0", "\x1b[2J", "\n", "\r", "\t", "\x85", "\u2028", "\ufeff", "\u202e", "é",
    "e\u0301", "\U0001f600", "\udcff", "x" * 5000, "{x}", "{0}", "%s", "$HOME", "..", ".", "a/b",
    "-", "--",
)  # fmt: skip

#: Bytes that have surprised somebody.
ODD_BYTES = (
    *(text.encode("utf-8", "surrogatepass") for text in ODD_TEXTS),
    b"\xff\xfe", b"\xed\xa0\x80", b"\xc3", b"\xff" * 4, b"\0" * 8, b"\x7f\xff\xff\xff", b"NaN",
    b"\r\n", b"\n\n", b'"\n', b'""', b"\t\t", b"<!ENTITY a 'b'>", b"&a;", b"</s>", b"<unk>",
)  # fmt: skip

odd_texts = st.sampled_from(ODD_TEXTS) | st.text(max_size=12).filter(lambda text: "/" not in text)

odd_json = st.one_of(
    st.sampled_from(
        [None, True, False, 0, -1, 2**63, 10**400, 1e308, -0.0, float("nan"), float("inf"), [], {},
         [[]], [None], {"a": None}, {"": {}}]
    ),
    odd_texts,
    st.integers(),
    st.floats(),
    st.recursive(st.none() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=3)),
)  # fmt: skip


@st.composite
def mutated_bytes(draw: Draw, content: bytes) -> bytes:
    """Content in which up to three things have changed."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.sampled_from([0, 1, 2, 4, 20, 10**9])))
        lines = content.split(b"\n")
        change = draw(st.sampled_from(["put", "cut", "double", "lines", "recode", "byte", "all"]))
        if change == "put":
            piece = draw(st.sampled_from(ODD_BYTES) | st.binary(max_size=8))
            content = content[:start] + piece + content[end:]
        elif change == "cut":
            content = content[:start] if draw(st.booleans()) else content[:start] + content[end:]
        elif change == "double":
            content = content[:end] + content[start:]
        elif change == "lines":
            place = draw(st.integers(0, len(lines) - 1))
            line = lines.pop(place)
            lines[draw(st.integers(0, len(lines))) : 0] = [line] * draw(st.sampled_from([0, 1, 2]))
            content = draw(st.sampled_from([b"\n", b"\r\n", b"\r"])).join(lines)
        elif change == "recode":
            encoding = draw(st.sampled_from(["utf-8-sig", "utf-16", "utf-32", "cp037"]))
            content = content.decode("latin-1").encode(encoding, "replace")
        elif change == "byte" and content:
            place = min(start, len(content) - 1)
            content = content[:place] + bytes([draw(st.integers(0, 255))]) + content[place + 1 :]
        elif change == "all":
            content = draw(st.sampled_from(ODD_BYTES))
    return content


@st.composite
def mutated_json(draw: Draw, record: Any) -> bytes:
    """JSON in which up to three values were replaced, renamed, doubled or taken away."""
    record = [copy.deepcopy(record)]
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(record))
        inside, key = draw(st.sampled_from(places))
        change = draw(st.sampled_from(["replace", "replace", "take away", "rename", "double"]))
        if change == "replace" or inside is record:
            inside[key] = draw(odd_json)
        elif change == "take away":
            del inside[key]
        elif change == "double" and isinstance(inside, list):
            inside.append(inside[key])
        elif isinstance(inside, dict):
            inside[draw(odd_texts)] = inside.pop(key) if change == "rename" else inside[key]
        if not record:
            record.append(None)
    return json.dumps(record[0]).encode()


def _places(value: Any) -> Any:
    """Every container with every key or index of it, down the tree."""
    keys = value if isinstance(value, dict) else range(len(value))
    for key in list(keys):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


@st.composite
def spoilt(draw: Draw, root: Path) -> str:
    """A change of one of the files below a folder; returns what was done.

    Besides its content, what a file is may change: a folder, a named pipe, a link to itself or
    into nowhere, a device without end, or nothing at all.
    """
    files = sorted(path for path in root.rglob("*") if path.is_file())
    if not files:
        return "nothing left to spoil"
    path = draw(st.sampled_from(files))
    kind = draw(st.sampled_from(["bytes"] * 6 + ["json"] * 6 + ["file"]))
    if kind == "json" and path.suffix in (".json", ".jsonl"):
        content = _mutated_lines(draw, path)
    elif kind == "file":
        what = draw(st.sampled_from(OTHERS))
        put_in_place(path, what)
        return f"{what} for {path.name}"
    else:
        content = draw(mutated_bytes(path.read_bytes()))
    path.write_bytes(content)
    return f"{path.name}: {content[:300]!r}"


def _mutated_lines(draw: Draw, path: Path) -> bytes:
    """JSON, or a line of JSON lines, changed; bytes where it is none (any more)."""
    lines = path.read_bytes().splitlines() if path.suffix == ".jsonl" else [path.read_bytes()]
    place = draw(st.integers(0, max(0, len(lines) - 1)))
    try:
        lines[place] = draw(mutated_json(json.loads(lines[place])))
    except (ValueError, IndexError, RecursionError):
        return draw(mutated_bytes(b"\n".join(lines)))
    return b"\n".join(lines) + b"\n"


def put_in_place(path: Path, what: str) -> None:
    """Something else where a file was: one of `OTHERS`."""
    path.unlink()
    if what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    elif what != "nothing":
        links = {"itself": path.name, "nowhere": "nowhere", "device": "/dev/zero"}
        path.symlink_to(links[what])


OTHERS = ("nothing", "folder", "pipe", "itself", "nowhere", "device")


def renewed(template: Path, folder: Path) -> Path:
    """A copy of a folder, in place of the one before."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(template, folder)
    return folder
