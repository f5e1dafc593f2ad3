"""Caption text to the tokens that captions are scored on.

The field's scripts run captions through the Stanford PTB tokeniser in lower case and drop
punctuation. The same tokens are made here without Java, for what occurs in captions:

- lower case; typographic quotes and dots made plain; HTML entities (`&amp;`) resolved;
- clitics are tokens of their own: `dog's` -> `dog 's`, `don't` -> `do n't`, `cannot` -> `can not`;
- hyphenated words (`t-shirt`), numbers (`3.5`, `1,000`, `10:30`), initials (`u.s.`) and a few
  abbreviations (`mr.`) stay whole;
- the punctuation that pycocoevalcap drops is dropped; other signs (`&`, `%`, `#`) are tokens.

Joined by blanks and tokenised again, tokens stay the same. Brackets are dropped as well, which
the Java tool means to do but fails to in lower case; apart from that, fewer than 1 in 3,000
captions come out differently (web addresses, single initials).
"""

from __future__ import annotations

import html
import re

_PLAIN = str.maketrans(
    {"‘": "'", "’": "'", "“": '"', "”": '"', "´": "'", "…": " ... ", "–": " -- ", "—": " -- "}
)

_CLITIC = r"'(?:s|m|d|re|ve|ll)(?!\w)"
_ABBREVIATIONS = r"(?:mr|mrs|ms|dr|st|jr|sr|vs|etc)\.(?!\w)"

# Verbs that the Penn Treebank writes as two words.
_JOINED = re.compile(r"\b(can)(not)\b|\b(gon|wan)(na)\b|\b(got)(ta)\b|\b(gim|lem)(me)\b")
_NEGATION = re.compile(r"(?<=\w)n't\b")

_TOKEN = re.compile(
    rf"""
    {_CLITIC}
  | n't(?!\w)
  | \d+(?:[.,:]\d+)+(?!\w)             # 3.5  1,000  10:30
  | (?:[^\W\d_]\.){{2,}}               # u.s.  a.m.
  | {_ABBREVIATIONS}
  | \w+(?:(?!{_CLITIC})[-'&@/]\w+)*    # t-shirt  o'clock  r&b
  | \S
    """,
    re.VERBOSE,
)
_DROPPED = frozenset("'\"`()[]{}.?!,:;-")


def caption_tokens(text: str) -> list[str]:
    """The tokens of a caption as scored: lower case, without punctuation."""
    plain = html.unescape(text).lower().translate(_PLAIN)
    plain = _JOINED.sub(lambda found: " ".join(filter(None, found.groups())), plain)
    plain = _NEGATION.sub(" n't", plain)
    return [token for token in _TOKEN.findall(plain) if token not in _DROPPED]


def normalised(text: str) -> str:
    """The tokens of a caption, joined by blanks: what models read and write."""
    return " ".join(caption_tokens(text))
