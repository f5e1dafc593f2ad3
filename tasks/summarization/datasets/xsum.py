"""XSum from the hub.

Its files in Parquet lie on the branch "refs/convert/parquet", which the hub keeps itself and may
write anew; the commit that it stood for is recorded when it is downloaded.
"""

from __future__ import annotations

from tasks.base import datasets
from tasks.data.hub import Card
from tasks.summarization.datasets import HubDocuments

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
)


@datasets("summarization").register("xsum")
class XSum(HubDocuments):
    """BBC articles and their one-sentence summaries."""

    name = "xsum"
    summary = "XSum: BBC articles to one sentence (from the hub)"
    licence = "not stated by its card (BBC articles)"
    citation = (
        "Narayan, Cohen, Lapata 2018: Don't give me the details, just the summary! Topic-aware"
        " convolutional neural networks for extreme summarization. EMNLP."
    )
    card = XSUM
