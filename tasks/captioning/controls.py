"""What captions are worth that know nothing of the picture, and what people's own are worth.

These figures depend on the data alone, so they are computed once and kept beside the prepared
data.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from tasks.cache import cached, digest
from tasks.captioning.constant import best_constant
from tasks.captioning.corpus import CaptionCorpus
from tasks.captioning.metrics import SIGNATURE, score, shuffled

# Raised when the same corpus would give other figures than before.
VERSION = 1


@dataclass(frozen=True)
class CaptionControls:
    """Figures of one test set, by the names of `CaptionScores.metrics`.

    Attributes:
        caption: the constant caption, chosen on validation pictures.
        constant: that caption for every picture.
        shuffled: the first reference of each picture, given for another picture.
        human: the first reference of each picture against its others; empty where a picture has
            no other. A ceiling of a kind: it is judged by one reference fewer.
    """

    caption: str
    constant: dict[str, float]
    shuffled: dict[str, float]
    human: dict[str, float]


def controls(corpus: CaptionCorpus, cache: Path) -> dict[str, CaptionControls]:
    """The controls of every test set, by its name. Takes seconds for the first caller.

    Raises UsageError: the cache cannot be written.
    """
    key = digest("caption controls", VERSION, SIGNATURE, corpus.fingerprint)
    path = cached(
        cache / "controls",
        key,
        lambda temporary: _write(temporary, corpus),
        suffix=".json",
    )
    return {
        name: CaptionControls(**fields)
        for name, fields in json.loads(path.read_text("utf-8")).items()
    }


def _write(path: Path, corpus: CaptionCorpus) -> None:
    caption = best_constant(
        (text for picture in corpus.train for text in picture.references),
        [picture.references for picture in corpus.validation],
    )
    found = {name: asdict(_of(caption, corpus, name)) for name in corpus.tests}
    path.write_text(json.dumps(found), "utf-8")


def _of(caption: str, corpus: CaptionCorpus, subset: str) -> CaptionControls:
    references = [picture.references for picture in corpus.tests[subset]]
    first = [texts[0] for texts in references]
    others = [texts[1:] for texts in references]
    return CaptionControls(
        caption=caption,
        constant=score([caption] * len(references), references).metrics(),
        shuffled=score(shuffled(first), references).metrics(),
        human=score(first, others).metrics() if all(others) else {},
    )
