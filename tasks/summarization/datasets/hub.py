"""XSum, Gigaword and CNN / Daily Mail from the hub, as cards.

Pins: Gigaword and CNN / Daily Mail name a commit. XSum's files in Parquet lie on the branch
"refs/convert/parquet", which the hub keeps itself and may write anew; the commit that it stood for
is recorded when it is got.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from tasks.base import Dataset, DatasetOptions, datasets
from tasks.data.hub import Card, CardOptions, provenance_note
from tasks.summarization.documents import Reading, SummaryCorpus, TextDocuments, with_text
from tasks.summarization.settings import news_settings

if TYPE_CHECKING:
    from bench.attention.base import Placement

XSUM = Card(
    name="xsum",
    identifier="EdinburghNLP/xsum",
    revision="refs/convert/parquet",
    format="parquet",
    files={
        "train": ("default/train/0000.parquet",),
        "validation": ("default/validation/0000.parquet",),
        "test": ("default/test/0000.parquet",),
    },
    columns={"source": "document", "summary": "summary"},
    licence="not stated by its card (BBC articles)",
    citation=(
        "Narayan, Cohen, Lapata 2018: Don't give me the details, just the summary! Topic-aware"
        " convolutional neural networks for extreme summarization. EMNLP."
    ),
)

GIGAWORD = Card(
    name="gigaword",
    identifier="Harvard/gigaword",
    revision="e45e01b2da13842bb3df1b12dc046910147b3d82",
    format="lines",
    files={
        split: (f"org_data/{name}.src.txt", f"org_data/{name}.tgt.txt")
        for split, name in (("train", "train"), ("validation", "dev"), ("test", "test"))
    },
    columns={"source": "src", "summary": "tgt"},
    licence="MIT by its card; the articles are the Linguistic Data Consortium's",
    citation=(
        "Rush, Chopra, Weston 2015: A neural attention model for abstractive sentence"
        " summarization. EMNLP. Graff et al. 2003: English Gigaword."
    ),
    archive="data/ggw_data.zip",
)

CNN_DAILYMAIL = Card(
    name="cnn_dailymail",
    identifier="abisee/cnn_dailymail",
    revision="96df5e686bee6baa90b8bee7c28b81fa3fa6223d",
    format="parquet",
    files={
        "train": tuple(f"3.0.0/train-{n:05d}-of-00003.parquet" for n in range(3)),
        "validation": ("3.0.0/validation-00000-of-00001.parquet",),
        "test": ("3.0.0/test-00000-of-00001.parquet",),
    },
    columns={"source": "article", "summary": "highlights"},
    licence="Apache-2.0 by its card",
    citation=(
        "Hermann et al. 2015: Teaching machines to read and comprehend. NIPS. See, Liu, Manning"
        " 2017: Get to the point. ACL."
    ),
)


class HubOptions(CardOptions):
    """How much of a text is read (See et al. 2017 cut at 400 and 100)."""

    source_words: int = Field(400, ge=0, description="cut sources after so many words; 0: never")
    summary_words: int = Field(100, ge=0, description="cut summaries likewise")
    lower: bool = Field(True, description="lower-case both sides")


class HubDataset(Dataset):
    """A data set of the hub. The training texts stay on disk."""

    card: ClassVar[Card]
    replacements: ClassVar[tuple[tuple[str, str], ...]] = ()
    Options: ClassVar[type[DatasetOptions]] = HubOptions

    @classmethod
    def settings(cls, budget: str, placement: Placement) -> Mapping[str, Any]:
        return news_settings(budget, placement)

    @classmethod
    def load(cls, options: DatasetOptions, data_root: Path | None) -> SummaryCorpus:
        """Read what `tasks.data.hub.fetch` got. Raises UsageError if it is not there or unreadable."""
        from tasks.data.hub import read_split

        assert isinstance(options, HubOptions)
        reading = Reading(
            options.source_words, options.summary_words, options.lower, cls.replacements
        )
        card = cls.card.at(options.revision)
        parts: dict[str, TextDocuments] = {}
        notes: list[str] = []
        for split in ("train", "validation", "test"):
            rows = read_split(card, data_root, split)
            where = f"{card.identifier}, {split}"
            parts[split], empties = with_text(split, rows, reading, where)
            notes += empties.notes
        assert data_root is not None
        casing = ("both sides are lower-cased",) if options.lower else ()
        return SummaryCorpus(
            name=cls.name,
            train=parts["train"],
            # Looked at again and again, and small.
            validation=tuple(parts["validation"]),
            tests={"test": tuple(parts["test"])},
            notes=(provenance_note(card, data_root), *casing, *notes),
        )


@datasets("summarization").register(XSUM.name)
class XSum(HubDataset):
    """BBC articles and their one-sentence summaries."""

    name: ClassVar[str] = XSUM.name
    summary: ClassVar[str] = "XSum: BBC articles to one sentence (from the hub)"
    licence: ClassVar[str] = XSUM.licence
    citation: ClassVar[str] = XSUM.citation
    card: ClassVar[Card] = XSUM


@datasets("summarization").register(GIGAWORD.name)
class Gigaword(HubDataset):
    """First sentences of news and their headlines, as Rush et al. prepared them."""

    name: ClassVar[str] = GIGAWORD.name
    summary: ClassVar[str] = "Gigaword: first sentence to headline (from the hub)"
    licence: ClassVar[str] = GIGAWORD.licence
    citation: ClassVar[str] = GIGAWORD.citation
    card: ClassVar[Card] = GIGAWORD
    # Rare words are "<unk>" in the training part and "UNK" in the test part.
    replacements: ClassVar[tuple[tuple[str, str], ...]] = (("<unk>", "UNK"),)


@datasets("summarization").register(CNN_DAILYMAIL.name)
class CnnDailyMail(HubDataset):
    """News stories and their bullet points."""

    name: ClassVar[str] = CNN_DAILYMAIL.name
    summary: ClassVar[str] = "CNN / Daily Mail: stories to bullet points (from the hub)"
    licence: ClassVar[str] = CNN_DAILYMAIL.licence
    citation: ClassVar[str] = CNN_DAILYMAIL.citation
    card: ClassVar[Card] = CNN_DAILYMAIL
