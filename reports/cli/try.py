"""`attnbench try STORE CELL`: input of a user's own through a kept model, with its attention."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, get_args

from ablations.cli.options import add_settings, settings_of
from bench.errors import UsageError
from bench.store.files import local_path

if TYPE_CHECKING:
    from tasks.processor import InputKind

#: Of a sentence typed in, a document, a recording of minutes.
_MOST_BYTES = 1 << 28


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Give a kept model (run or sweep with --keep-model) input of your own, and see what it "
        "makes of it and where it looks. Without one of the options for input it is read from "
        "standard input: a text (of entailment a premise and a hypothesis, a line each), or the "
        "content of a picture or sound file."
    )
    parser.add_argument("store", metavar="STORE", help="folder or URL of the results")
    parser.add_argument("cell", metavar="CELL", help="the beginning of the hash of a cell")
    parser.add_argument("--text", metavar="TEXT", help="sentence, document, or premise")
    parser.add_argument("--hypothesis", metavar="TEXT", help="of entailment, beside the premise")
    parser.add_argument("--picture", metavar="FILE", help="picture to describe")
    parser.add_argument("--sound", metavar="FILE", help="recording to write down")
    add_settings(parser, "beam_size, length_penalty, coverage_penalty, max_length")
    parser.add_argument("--json", action="store_true", help="print a JSON object")
    parser.add_argument("--page", metavar="FILE", help="write a page with the attention there")


def run(args: argparse.Namespace) -> int:
    """0; raises UsageError where there is no such model, or it cannot read the input."""
    from tasks.kept_model import load_model
    from tasks.processor import InputKind

    kinds: tuple[InputKind, ...] = get_args(InputKind)
    given = {kind: value for kind in kinds if (value := getattr(args, kind)) is not None}
    decoding = settings_of(args.settings)
    page = None if args.page is None else local_path(args.page, where="--page")
    if page is not None and (page.is_dir() or not page.parent.is_dir()):
        what = "is a folder" if page.is_dir() else "its folder does not exist"
        raise UsageError(what, where=f"--page {args.page}", remedy="name a file to write")
    model = load_model(args.store, args.cell)
    with _complete(given, model.inputs) as inputs:
        output = model.predict(decoding=decoding, **inputs)
        if page is not None:
            from reports.pages.try_page import write_page

            write_page(page, model.cell, inputs, output)
    if args.json:
        record = {"cell": model.cell.to_json(), "hash": model.cell.hash, **output.to_json()}
        sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")
        return 0
    from reports.attention_maps.terminal import print_output

    print_output(output, sys.stdout)
    if page is not None:
        sys.stdout.write(f"{page}\n")
    return 0


@contextmanager
def _complete(
    given: Mapping[InputKind, Any], inputs: tuple[InputKind, ...]
) -> Iterator[dict[str, Any]]:
    """The input by kind: what was given, or what stands on standard input, of which a picture or
    sound lies in a file while it is needed. Raises UsageError where that is of no use."""
    if given:
        yield {kind: _expanded(kind, value) for kind, value in given.items()}
        return
    options = " and ".join(f"--{kind}" for kind in inputs)
    if sys.stdin.isatty():
        raise UsageError("there is no input", remedy=f"give {options}, or standard input")
    content = sys.stdin.buffer.read(_MOST_BYTES)
    if not content:
        raise UsageError("is empty", where="standard input", remedy=f"give {options}")
    if inputs[0] == "text":
        yield dict(zip(inputs, _texts(content, inputs), strict=True))
        return
    with tempfile.NamedTemporaryFile(prefix="attnbench-") as file:
        file.write(content)
        file.flush()
        yield {inputs[0]: file.name}


def _expanded(kind: str, value: str) -> str:
    if kind not in ("picture", "sound"):
        return value
    return os.fspath(local_path(value, where=f"--{kind}"))


def _texts(content: bytes, inputs: tuple[InputKind, ...]) -> list[str]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        what = "is not UTF-8 text"
        raise UsageError(what, where="standard input", remedy="this model reads text") from None
    if len(inputs) == 1:
        return [text]
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) != len(inputs):
        names = " and ".join("premise" if one == "text" else one for one in inputs)
        raise UsageError(f"{len(lines)} lines, not {names}", where="standard input")
    return lines
