"""Where the translation data sets are got from."""

from __future__ import annotations

from tasks.data.archives import Distribution, Piece
from tasks.data.hub import Card

_COMMIT = "a3d2e0d26b56f3846f66a952536ffed4e401d05a"
_RAW = f"https://raw.githubusercontent.com/multi30k/dataset/{_COMMIT}/data/task1/raw"
# By file: bytes and SHA-256 of what that commit holds.
_FILES = {
    "train.de": (637044, "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6"),
    "train.en": (568929, "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f"),
    "train.fr": (604242, "622e75069e9f4c577425c4f277116ce66e63a2401c0a2312d90073cb12379a3c"),
    "val.de": (24681, "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a"),
    "val.en": (21650, "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28"),
    "val.fr": (23001, "ca3106f1a72390591d25f6c45cb4cd39dec4cd3f123e099748a3ce5256c160e9"),
    "test_2016_flickr.de": (
        22890,
        "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8",
    ),
    "test_2016_flickr.en": (
        21077,
        "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9",
    ),
    "test_2016_flickr.fr": (
        22310,
        "6d326e188d259fb1d04ac19eae3af956559b3a0b93d7635e56c90987c40c8b90",
    ),
}

MULTI30K = Distribution(
    name="multi30k",
    source=f"github.com/multi30k/dataset at {_COMMIT[:12]}",
    pieces=tuple(
        Piece(f"{_RAW}/{name}.gz", {"": f"multi30k/{name}"}, "gz", size, sha256)
        for name, (size, sha256) in _FILES.items()
    ),
)

WMT14 = Card(
    name="wmt14",
    identifier="wmt/wmt14",
    revision="b199e406369ec1b7634206d3ded5ba45de2fe696",
    format="parquet",
    files={
        "train": tuple(f"de-en/train-{n:05d}-of-00003.parquet" for n in range(3)),
        "validation": ("de-en/validation-00000-of-00001.parquet",),
        "test": ("de-en/test-00000-of-00001.parquet",),
    },
    columns={"de": "translation.de", "en": "translation.en"},
    licence="not stated by its card (Europarl, Common Crawl, News Commentary)",
    citation=(
        "Bojar et al. 2014: Findings of the 2014 workshop on statistical machine translation. WMT."
    ),
)
