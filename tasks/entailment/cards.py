"""Where the entailment data sets are got from."""

from __future__ import annotations

from tasks.data.archives import Distribution, Piece
from tasks.data.hub import Card

SNLI = Distribution(
    name="snli",
    source="the publisher's archive, version 1.0",
    pieces=(
        Piece(
            "https://nlp.stanford.edu/projects/snli/snli_1.0.zip",
            {
                f"snli_1.0/snli_1.0_{part}.jsonl": f"snli_1.0/snli_1.0_{part}.jsonl"
                for part in ("train", "dev", "test")
            },
            "zip",
            94_550_081,
            sha256="afb3d70a5af5d8de0d9d81e2637e0fb8c22d1235c2749d83125ca43dab0dbd3e",
        ),
    ),
)

SICK = Distribution(
    name="sick",
    source="Zenodo, record 2787612",
    pieces=(
        Piece(
            "https://zenodo.org/record/2787612/files/SICK.zip?download=1",
            {"SICK.txt": "sick/SICK.txt"},
            "zip",
            217_584,
            sha256="da272af924399fc2de4889ed55383e38822c10d16c4a949a89d597d09a0b7912",
        ),
    ),
)

MULTI_NLI = Card(
    name="multi_nli",
    identifier="nyu-mll/multi_nli",
    revision="da70db2af9d09693783c3320c4249840212ee221",
    format="parquet",
    files={
        "train": ("data/train-00000-of-00001.parquet",),
        "matched": ("data/validation_matched-00000-of-00001.parquet",),
        "mismatched": ("data/validation_mismatched-00000-of-00001.parquet",),
    },
    columns={"premise": "premise", "hypothesis": "hypothesis", "label": "label"},
    licence="OANC, CC BY 3.0, CC BY-SA 3.0 and others, by genre",
    citation=(
        "Williams, Nangia, Bowman 2018: A broad-coverage challenge corpus for sentence"
        " understanding through inference. NAACL."
    ),
    sha256={
        "data/train-00000-of-00001.parquet": (
            "1c1de03640b168e410aabfca19e7cc2f3dfcd7f0e126e935674e56fb102c4529"
        ),
        "data/validation_matched-00000-of-00001.parquet": (
            "350c26950b55f460b50d36c76aef87d64b49c78812d7abf7bf97e5fede10f186"
        ),
    },
    # The two whose sizes are known; the third is as large as the second.
    size=213_961_663 + 2 * 4_938_568,
)
