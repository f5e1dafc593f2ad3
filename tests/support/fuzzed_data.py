"""A tiny good data set for every data set that reads files, in its publisher's layout."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
from own_data import OWN
from PIL import Image

from tasks.base import datasets, tasks
from tasks.data.hub import Card

LABELS = ("entailment", "neutral", "contradiction")


def write(root: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")


def lines(*rows: object) -> str:
    return "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows)


def sound(path: Path, samples: int = 2400, rate: int = 16000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(len(str(path))).uniform(-0.3, 0.3, samples)
    soundfile.write(path, noise, rate)


def card(root: Path, card: Card, values: Mapping[str, list[object]]) -> None:
    """The files of a card of the hub; values by the card's name of a column."""
    for names in card.files.values():
        for place, name in enumerate(names):
            path = card.folder(root) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if card.format == "lines":
                path.write_text(lines(*map(str, list(values.values())[place])), "utf-8")
                continue
            columns: dict[str, object] = {}
            for column, shown in card.columns.items():
                outer, _, inner = shown.partition(".")
                rows = values[column]
                if inner:
                    before = columns.get(outer) or [{} for _ in rows]
                    rows = [{**old, inner: row} for old, row in zip(before, rows, strict=True)]  # type: ignore[call-overload]
                columns[outer] = rows
            pq.write_table(pa.table(columns), path)


def hub(name: str, **values: list[object]) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        kinds = [datasets(task).items() for task in tasks.names()]
        found = next(kind for kind_of in kinds for own, kind in kind_of if own == name)
        assert isinstance(found.card, Card)
        card(root, found.card, values)

    return make


def sick(root: Path) -> None:
    parts = ("TRAIN", "TRAIN", "TRAIN", "TRIAL", "TEST")
    rows = [
        f"{n}\tA dog runs {n}.\tAn animal {n} moves\t{LABELS[n % 3].upper()}\t4.5\t{part}"
        for n, part in enumerate(parts)
    ]
    header = "pair_ID\tsentence_A\tsentence_B\tentailment_label\trelatedness_score\tSemEval_set"
    pair = {"id": "7", "source": "Mr. Fazio bids .", "target": "Fazio bids .", "sureAlign": "1-0"}
    xml = (
        '<?xml version="1.0"?><entailment-corpus><pair id="1" entailment="YES">'
        "<t>Mr. Fazio bids.</t><h>Fazio bids.</h></pair></entailment-corpus>"
    )
    write(root, {
        "sick/SICK.txt": lines(header, *rows),
        "rte2_alignments/RTE2_dev_M.align.json": json.dumps([pair]),
        "rte2_alignments/rte2_dev.xml": xml,
    })  # fmt: skip


def snli(folder: str, *splits: str) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        for split in splits:
            rows = [
                {
                    "gold_label": LABELS[n % 3],
                    "sentence1": f"{split} dog {n}",
                    "sentence2": f"cat {n}",
                }
                for n in range(21)
            ]
            write(root, {f"{folder}/snli_1.0_{split}.jsonl": lines(*rows)})

    return make


def an4(root: Path) -> None:
    files = {"an4/etc/an4.dic": "NO   N OW\nNO(2)  N AA\nOH  OW\n"}
    for part, speakers in {"train": ["ann", "bob", "cat"], "test": ["eve"]}.items():
        ids = [f"{part}/{speaker}/an{n}-{speaker}" for n, speaker in enumerate(speakers)]
        files[f"an4/etc/an4_{part}.fileids"] = lines(*ids)
        texts = [f"OH NO ({one.rsplit('/', 1)[1]})" for one in ids]
        files[f"an4/etc/an4_{part}.transcription"] = lines(*texts)
        for place, one in enumerate(ids):
            path = root / "an4" / "feat" / f"{one}.mfc"
            path.parent.mkdir(parents=True, exist_ok=True)
            values = np.arange(13 * (20 + place), dtype=">f4") + len(part)
            path.write_bytes(struct.pack(">i", values.size) + values.tobytes())
    write(root, files)


def fsdd(root: Path) -> None:
    for speaker in ("ann", "bob"):
        for digit in range(10):
            for number in (0, 1, 5, 6):
                name = f"fsdd/recordings/{digit}_{speaker}_{number}.wav"
                sound(root / name, samples=200 + digit, rate=8000)


def librispeech(root: Path) -> None:
    for place, subset in enumerate(("train-clean-100", "dev-clean", "test-clean", "test-other")):
        folder, name = f"LibriSpeech/{subset}/{place}/1", f"{place}-1"
        sound(root / folder / f"{name}-0000.flac")
        write(root, {f"{folder}/{name}.trans.txt": lines(f"{name}-0000 A DOG {place}")})


def multi30k(root: Path) -> None:
    texts = {"en": "A cat sees dog {}.", "fr": "Un chat voit chien {}.", "de": "Katze {} da."}
    for split in ("train", "val", "test_2016_flickr"):
        for language, text in texts.items():
            rows = [f"{split} {text.format(n)}" for n in range(4)]
            write(root, {f"multi30k/{split}.{language}": lines(*rows)})
        links = [{"line": 0, "links": [["A cat", "Un chat"]]}]
        write(root, {f"multi30k/en_fr_phrase_links/{split}.json": json.dumps(links)})


def reuters(root: Path) -> None:
    stories = [
        {"title": f"COMPANY {n} TO BUY ALL", "id": str(n),
         "body": f"Company number {n} said it will buy\neverything. It did not say.\n Reuter\n"}
        for n in range(1504)
    ]  # fmt: skip
    write(root, {
        "reuters21578/reuters-000.json": json.dumps(stories[:1500]),
        "reuters21578/reuters-001.json": json.dumps(stories[1500:]),
    })  # fmt: skip


SENTENCES = "[/EN#7/people The girl] sits on [/EN#8/animals a pony] .\n[/EN#9/people Two men]\n"
ANNOTATION = (
    "<annotation><size><width>200</width><height>100</height><depth>3</depth></size>"
    "<object><name>7</name><bndbox><xmin>1</xmin><ymin>11</ymin><xmax>50</xmax><ymax>100</ymax>"
    "</bndbox></object></annotation>"
)


def flickr8k(root: Path) -> None:
    from tasks.captioning.datasets.flickr8k import LISTS, TOKENS

    names = {"train": ["1_a.jpg", "2_b.jpg"], "validation": ["3_c.jpg"], "test": ["4_d.jpg"]}
    captions = []
    for number, name in enumerate(name for part in names.values() for name in part):
        path = root / "flickr8k" / "Flicker8k_Dataset" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 20), (40 * number, 0, 0)).save(path)
        captions += [f"{name}#0\tThe girl sits on a pony", f"{name}#1\tTwo men {number}"]
    write(root, {
        f"flickr8k/{TOKENS}": lines(*captions),
        **{f"flickr8k/{LISTS[split]}": lines(*part) for split, part in names.items()},
        "flickr8k/Sentences/4.txt": SENTENCES,
        "flickr8k/Annotations/4.xml": ANNOTATION,
    })  # fmt: skip


def own(task: str) -> Callable[[Path], None]:
    return OWN[task].write


MANY: list[object] = [f"Sentence number {n} of them." for n in range(4)]
SHORT: list[object] = [f"number {n}" for n in range(4)]

#: What writes it, and `--set` options that it needs, by task and name.
MADE: dict[tuple[str, str], tuple[Callable[[Path], None], tuple[str, ...]]] = {
    ("captioning", "flickr8k"): (flickr8k, ()),
    ("entailment", "multi_nli"): (
        hub("multi_nli", premise=MANY * 5, hypothesis=SHORT * 5, label=[0, 1, 2, -1] * 5), ()
    ),
    ("entailment", "sick"): (sick, ()),
    ("entailment", "snli"): (snli("snli_1.0", "train", "dev", "test"), ()),
    ("entailment", "snli_mini"): (snli("snli_mini", "train", "dev"), ()),
    ("speech", "an4"): (an4, ("validation_speakers=1",)),
    ("speech", "fsdd"): (
        fsdd, ("train_size=6", "validation_size=4", "test_size=4", "validation_clips=1")
    ),
    ("speech", "librispeech"): (librispeech, ()),
    ("summarization", "cnn_dailymail"): (hub("cnn_dailymail", source=MANY, summary=SHORT), ()),
    ("summarization", "gigaword"): (hub("gigaword", source=MANY, summary=SHORT), ()),
    ("summarization", "reuters21578"): (reuters, ()),
    ("summarization", "xsum"): (hub("xsum", source=MANY, summary=SHORT), ()),
    ("translation", "multi30k"): (multi30k, ()),
    ("translation", "wmt14"): (hub("wmt14", de=MANY, en=SHORT), ()),
    **{(task, one.dataset): (own(task), one.options) for task, one in OWN.items()},
}  # fmt: skip
