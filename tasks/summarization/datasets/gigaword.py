"""Gigaword from the hub, as Rush et al. (2015) prepared it."""

from __future__ import annotations

from tasks.base import datasets
from tasks.data.hub import Card
from tasks.summarization.datasets import HubDocuments

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
    archive="data/ggw_data.zip",
)


@datasets("summarization").register("gigaword")
class Gigaword(HubDocuments):
    """First sentences of news and their headlines, as Rush et al. prepared them."""

    name = "gigaword"
    summary = "Gigaword: first sentence to headline (from the hub)"
    licence = "MIT by its card; the articles are the Linguistic Data Consortium's"
    citation = (
        "Rush, Chopra, Weston 2015: A neural attention model for abstractive sentence"
        " summarization. EMNLP. Graff et al. 2003: English Gigaword."
    )
    card = GIGAWORD
    # Rare words are "<unk>" in the training part and "UNK" in the test part.
    replacements = (("<unk>", "UNK"),)
