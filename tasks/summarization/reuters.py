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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from bench.errors import UsageError
from tasks.base import Dataset, DatasetOptions
from tasks.distribution import Distribution
from tasks.registries import datasets
from tasks.rows import data_folder, read_json
from tasks.summarization.budgets import news_settings
from tasks.summarization.corpus import Document, SummaryCorpus
from tasks.summarization.reading import Reading
from tasks.summarization.reuters_files import REUTERS

if TYPE_CHECKING:
    from bench.attention.base import Placement

TEST, VALIDATION = 1000, 500
LEAD_WORDS = range(8, 61)
HEADLINE_WORDS = range(3, 16)

_FOLDER = "reuters21578"
_FILES = "reuters-*.json"
# Paragraphs begin on a new line with blanks in front.
_PARAGRAPH = re.compile(r"\n(?:[ \t]{2,}|\t|[ \t]*\n\s*)")
_SIGNATURE = re.compile(r"(?:\s+reuters?)?[\s\x00-\x1f]*\Z", re.IGNORECASE)
# The signature is looked for in so many last characters.
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
    """What is summarised."""

    source: Literal["lead", "document"] = Field(
        "lead", description="the first paragraph, or the whole story"
    )
    source_words: int = Field(
        400, ge=1, description="a story is cut after so many words (source=document)"
    )


@dataclass(frozen=True)
class Story:
    """A story that passed the cleaning."""

    id: str
    headline: str
    lead: str
    body: str


@datasets("summarization").register("reuters21578")
class Reuters(Dataset):
    """About 12,900 stories of early 1987."""

    name: ClassVar[str] = "reuters21578"
    summary: ClassVar[str] = "Reuters news of 1987: lead paragraph or whole story to headline"
    licence: ClassVar[str] = "research use only"
    card: ClassVar[Distribution | None] = REUTERS
    places: ClassVar[tuple[str, ...]] = (_FOLDER,)
    citation: ClassVar[str] = "Lewis 1997: Reuters-21578 text categorization test collection."
    Options: ClassVar[type[DatasetOptions]] = ReutersOptions

    @classmethod
    def settings(cls, budget: str, placement: Placement) -> Mapping[str, Any]:
        return news_settings(budget, placement)

    @classmethod
    def load(cls, options: DatasetOptions, data_root: Path | None) -> SummaryCorpus:
        """Read and clean `reuters21578/reuters-*.json`. Raises UsageError naming file and story."""
        assert isinstance(options, ReutersOptions)
        folder = data_folder(data_root, cls.name, [_FOLDER])
        dropped: Counter[str] = Counter()
        stories = list(clean_stories(folder, dropped))
        if len(stories) <= TEST + VALIDATION:
            raise UsageError(
                f"only {len(stories)} usable stories",
                where=str(folder),
                remedy=f"more than {TEST + VALIDATION} are needed",
            )
        reading = Reading(source_words=0 if options.source == "lead" else options.source_words)
        documents = [_document(story, options, reading) for story in stories]
        train = tuple(documents[: -TEST - VALIDATION])
        return SummaryCorpus(
            name=cls.name,
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
    for number, (path, place, record) in enumerate(_records(folder), start=1):
        title, body = (_text(record, key, path, place) for key in ("title", "body"))
        lead = next(paragraphs(body), "")
        reason = _unusable(title, lead)
        if reason is None and lead.lower() in leads:
            reason = "with a lead seen before"
        if reason is None:
            leads.add(lead.lower())
            yield Story(f"reuters-{record.get('id') or number}", title, lead, body)
        else:
            dropped[reason] += 1


def _records(folder: Path) -> Iterator[tuple[Path, int, dict[str, Any]]]:
    paths = sorted(folder.glob(_FILES))
    if not paths:
        raise UsageError(f"no {_FILES} in it", where=str(folder))
    for path in paths:
        records = read_json(path)
        if not isinstance(records, list):
            raise UsageError("not a JSON list of stories", where=str(path))
        for place, record in enumerate(records, start=1):
            if not isinstance(record, dict):
                raise UsageError("not a JSON object", where=f"{path}, story {place}")
            yield path, place, record


def _text(record: dict[str, Any], key: str, path: Path, place: int) -> str:
    value = record.get(key) or ""
    if not isinstance(value, str):
        raise UsageError(f"'{key}' is no text", where=f"{path}, story {place}")
    return value.strip()


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


def _document(story: Story, options: ReutersOptions, reading: Reading) -> Document:
    told = [story.lead] if options.source == "lead" else paragraphs(story.body)
    return reading.document(story.id, "\n".join(told), story.headline)
