"""CNN / Daily Mail from the hub."""

from __future__ import annotations

from tasks.base import datasets
from tasks.data.hub import Card
from tasks.summarization.datasets import HubDocuments

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
)


@datasets("summarization").register("cnn_dailymail")
class CnnDailyMail(HubDocuments):
    """News stories and their bullet points."""

    name = "cnn_dailymail"
    summary = "CNN / Daily Mail: stories to bullet points (from the hub)"
    licence = "Apache-2.0 by its card"
    citation = (
        "Hermann et al. 2015: Teaching machines to read and comprehend. NIPS. See, Liu, Manning"
        " 2017: Get to the point. ACL."
    )
    card = CNN_DAILYMAIL
