"""Where the speech data sets are got from."""

from __future__ import annotations

from tasks.data.archives import Distribution, Piece

# Subsets that the reader uses unless told otherwise: bytes and SHA-256 of their archives.
_SUBSETS = {
    "train-clean-100": (
        6_387_309_499,
        "d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2",
    ),
    "dev-clean": (
        337_926_286,
        "76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3",
    ),
    "test-clean": (
        346_663_984,
        "39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23",
    ),
}

LIBRISPEECH = Distribution(
    name="librispeech",
    source="OpenSLR, resource 12",
    pieces=tuple(
        Piece(
            f"https://www.openslr.org/resources/12/{name}.tar.gz",
            {f"LibriSpeech/{name}/": f"LibriSpeech/{name}"},
            "tar",
            size,
            sha256,
        )
        for name, (size, sha256) in _SUBSETS.items()
    ),
)

_FSDD = "26eb9aaf76e81b692f806f9140c2d2777410d7a1"

# The archive is made anew for every download, so no digest of it is fixed; the commit is, and the
# archive has checksums of its own.
FSDD = Distribution(
    name="fsdd",
    source=f"github.com/Jakobovski/free-spoken-digit-dataset at {_FSDD[:12]}",
    pieces=(
        Piece(
            f"https://github.com/Jakobovski/free-spoken-digit-dataset/archive/{_FSDD}.zip",
            {f"free-spoken-digit-dataset-{_FSDD}/recordings/": "fsdd/recordings"},
            "zip",
        ),
    ),
)
