"""Small data sets of a user's own, one for each task, in the layouts that docs/data.md shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

COLOURS = {"red": (200, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 200)}
LABELS = ("entailment", "neutral", "contradiction")
RATE = 16000


@dataclass(frozen=True)
class Own:
    """How a task reads a user's own files.

    Attributes:
        dataset: its name for `--dataset`.
        main: the file that lists or holds the training examples.
        write: puts a good data set into a folder.
        options: `--set` options that the layout needs.
    """

    dataset: str
    main: str
    write: Callable[[Path], None]
    options: tuple[str, ...] = ()

    def command(self, task: str, root: Path) -> list[str]:
        """`attnbench run` of a tiny cell on it."""
        settings = [part for option in self.options for part in ("--set", option)]
        return [
            "run", "--task", task, "--attention", "soft", "--budget", "smoke",
            "--dataset", self.dataset, "--data-root", str(root), *settings,
        ]  # fmt: skip


def translation(root: Path) -> None:
    """train.de, train.en, ...: line n of one translates line n of the other."""
    for split, count in (("train", 40), ("valid", 6), ("test", 6)):
        numbers = range(count)
        (root / f"{split}.de").write_text("".join(f"ein haus {n} .\n" for n in numbers), "utf-8")
        (root / f"{split}.en").write_text("".join(f"a house {n} .\n" for n in numbers), "utf-8")


def captioning(root: Path) -> None:
    """Pictures, and captions.tsv with a line for every caption."""
    lines = ["image\tcaption"]
    for number in range(12):
        colour = list(COLOURS)[number % len(COLOURS)]
        pixels = np.full((24, 24, 3), COLOURS[colour], np.uint8)
        pixels[number, number] = 255  # no two are the same
        Image.fromarray(pixels).save(root / f"{number}.png")
        lines += [f"{number}.png\ta {colour} square", f"{number}.png\tsomething {colour}"]
    (root / "captions.tsv").write_text("\n".join(lines) + "\n", "utf-8")


def entailment(root: Path) -> None:
    """train.tsv and test.tsv with a header."""
    for name, count in (("train", 30), ("test", 6)):
        rows = [
            f"a dog number {n} runs\tan animal {n} moves\t{LABELS[n % 3]}\n" for n in range(count)
        ]
        (root / f"{name}.tsv").write_text("premise\thypothesis\tlabel\n" + "".join(rows), "utf-8")


def speech(root: Path) -> None:
    """manifest.tsv, and the sound files it lists."""
    (root / "clips").mkdir()
    lines = ["path\ttranscript\tsplit"]
    for number in range(12):
        split = ("train", "train", "validation", "test")[number % 4]
        write_tone(root / "clips" / f"{number}.wav", 200.0 + 20 * number)
        lines.append(f"clips/{number}.wav\ta tone {'ab'[number % 2]}\t{split}")
    (root / "manifest.tsv").write_text("\n".join(lines) + "\n", "utf-8")


def write_tone(path: Path, pitch: float, rate: int = RATE) -> None:
    seconds = np.arange(int(0.4 * rate)) / rate
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * pitch * seconds), rate)


def summarization(root: Path) -> None:
    """train.jsonl and test.jsonl: an object a line."""
    for name, count in (("train", 30), ("test", 5)):
        rows = (
            {
                "document": f"The town number {n} built a bridge. It is long.",
                "summary": f"bridge {n}",
            }
            for n in range(count)
        )
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (root / f"{name}.jsonl").write_text(text, "utf-8")


#: By task.
OWN = {
    "translation": Own("parallel", "train.de", translation, ("source=de", "target=en")),
    "captioning": Own("folder", "captions.tsv", captioning),
    "entailment": Own("tabular", "train.tsv", entailment),
    "speech": Own("manifest", "manifest.tsv", speech),
    "summarization": Own("jsonl", "train.jsonl", summarization),
}
