"""Texts to token ids and back: byte-pair encoding or whole words.

Vocabularies are learned from training texts only, deterministic, and kept as JSON. Both kinds work
on the words of a text, so every token belongs to exactly one word; in scripts written without
blanks that is a letter. Byte-pair encoding after Sennrich, Haddow and Birch (2016).
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import regex

from tasks.data.cache import cached, digest, digest_texts
from tasks.data.unicode import EXTENDS, UNSPACED, composed, lowered
from tasks.data.vocabulary import SPECIALS, UNK, Segmented

if TYPE_CHECKING:
    import tokenizers  # at run time only where it is used: most who want words train no vocabulary

# A text is cut at white space and around punctuation. Every piece that followed white space carries
# a mark in front, so that joining the pieces gives the text back exactly, up to runs of white
# space: no rules are needed to undo the cutting, and figures are computed on real text.

#: Stands for the white space before a piece (U+2581, as in SentencePiece).
MARK = "\u2581"

# An elided word keeps its apostrophe (l'eau: l' eau); otherwise an apostrophe stays with what
# follows (man's: man 's). Runs of letters, digits and underscores are words, any other character
# is one too.
_CUT = """{mark}?(?:
        (?:[cdjlmnstCDJLMNST]|[qQ][uU])['’](?={letter})
      | ['’](?:[smdtSMDT]|[rRvV][eE]|[lL][lL])(?!{letter})
      | {others}
    )|{mark}"""

# Words by Unicode. Marks belong to the letter or sign before them, flags and joined emoji stay
# whole, and every letter of a script without blanks is a word.
_WORD = regex.compile(
    _CUT.format(
        mark=MARK,
        letter=r"[\w\p{N}]",
        others=rf"""
        [\w\p{{N}}--{UNSPACED}]++
      | {UNSPACED}{EXTENDS}*+
      | \p{{Regional_Indicator}}{{2}}
      | [^\w\p{{N}}{MARK}]{EXTENDS}*+(?:(?<=\u200d)[^\w\s{MARK}]{EXTENDS}*+)*+""",
    ),
    regex.VERBOSE | regex.V1,
)
# The same on Latin letters and common punctuation, by an engine that takes half the time.
_LATIN = re.compile(f"[\0-\u02ff\u2010-\u203a€{MARK}]*")
_LATIN_WORD = re.compile(
    _CUT.format(mark=MARK, letter=r"\w", others=rf"\w+ | [^\w{MARK}]"), re.VERBOSE
)


def marked(text: str) -> str:
    """The text with marks for white space: "a man's" -> "▁a▁man's"."""
    return "".join(f"{MARK}{part}" for part in text.replace(MARK, "_").split())


def unmarked(pieces: Iterable[str]) -> str:
    """The text of marked pieces; undoes `marked` and `split_words`."""
    return "".join(pieces).replace(MARK, " ").strip()


def split_words(text: str) -> list[str]:
    """Marked words: "a man's." -> ["▁a", "▁man", "'s", "."]."""
    text = marked(text)
    return _pattern(text).findall(text)


def words(text: str) -> tuple[str, ...]:
    """Words without marks, as people read them: ("a", "man", "'s", ".")."""
    return tuple(word.removeprefix(MARK) for word in split_words(text))


def word_starts(text: str) -> list[int]:
    """Where the words of an already marked text begin."""
    return [found.start() for found in _pattern(text).finditer(text)]


def _pattern(text: str) -> Any:
    return _LATIN_WORD if _LATIN.fullmatch(text) else _WORD


def plain_words(text: str, *, lower: bool = True) -> tuple[str, ...]:
    """The words of corpora whose gold alignments count words: lower-cased unless told otherwise.

    Joined by blanks and cut again they stay the same words, so positions counted in them are the
    positions a tokeniser reports for the joined text.
    """
    found: Iterable[str] = words(lowered(text) if lower else composed(text))
    if "'" in text or "’" in text:
        # A clitic that loses its neighbour is cut further ("d'" before a blank).
        found = words(" ".join(found))
    # Interned, since a corpus says the same few words over and over.
    return tuple(map(sys.intern, filter(None, found)))


Kind = Literal["bpe", "word"]

# Raised when the same texts would give another tokeniser than before.
VERSION = 2


class Tokenizer:
    """A vocabulary with ids 0 pad, 1 begin, 2 end, 3 unknown.

    Build one with `train`; `from_json(tokenizer.to_json())` gives an equal one.
    """

    def __init__(self, kind: Kind, model: tokenizers.Tokenizer) -> None:
        self.kind: Kind = kind
        self._model = model

    @classmethod
    def train(
        cls, texts: Iterable[str], *, kind: Kind, size: int, cache: Path | None = None
    ) -> Tokenizer:
        """Learn a vocabulary of at most `size` tokens (special ones and characters included).

        Args:
            texts: training texts only; gone through twice, so no iterator; never held as a whole.
            size: "bpe" always keeps the characters seen, so tiny sizes are exceeded; "word" keeps
                the most frequent words, all of them if `size` is 0.
            cache: folder where equal requests find the tokeniser ready. None learns anew.

        Raises:
            UsageError: the cache cannot be written.
        """
        if cache is None:
            return cls._learn(texts, kind, size)
        import tokenizers

        key = digest("tokeniser", VERSION, tokenizers.__version__, kind, size, digest_texts(texts))
        path = cached(
            cache / "tokenizers",
            key,
            lambda target: target.write_text(cls._learn(texts, kind, size).to_json(), "utf-8"),
            suffix=".json",
        )
        return cls.from_json(path.read_text("utf-8"))

    @classmethod
    def _learn(cls, texts: Iterable[str], kind: Kind, size: int) -> Tokenizer:
        from tokenizers import Tokenizer, models, trainers

        options: dict[str, Any] = {"special_tokens": list(SPECIALS), "show_progress": False}
        if kind == "bpe":
            model = Tokenizer(models.BPE(unk_token=SPECIALS[UNK]))
            trainer: Any = trainers.BpeTrainer(vocab_size=size, min_frequency=2, **options)
        else:
            model = Tokenizer(models.WordLevel(unk_token=SPECIALS[UNK]))
            trainer = trainers.WordLevelTrainer(vocab_size=size or 2**31, **options)
        model.train_from_iterator(map(split_words, texts), trainer)
        return cls(kind, model)

    @property
    def size(self) -> int:
        """Number of token ids, special ones included."""
        return self._model.get_vocab_size()

    def segment_batch(self, texts: Iterable[str]) -> list[Segmented]:
        """Token ids with the word of each token. Characters or words never seen become UNK."""
        batch = [split_words(text) for text in texts]
        encodings = self._model.encode_batch(batch, is_pretokenized=True, add_special_tokens=False)
        # No token is special here, so each one has its word.
        return [
            Segmented(encoding.ids, cast(list[int], encoding.word_ids)) for encoding in encodings
        ]

    def encode_batch(self, texts: Iterable[str]) -> list[list[int]]:
        """Token ids without begin and end."""
        return [segmented.ids for segmented in self.segment_batch(texts)]

    def unknown(self, text: str) -> list[str]:
        """The tokens of a text that become UNK, as they are spelt, marks included."""
        pieces = split_words(text)
        encoding = self._model.encode(pieces, is_pretokenized=True, add_special_tokens=False)
        words = cast(list[int], encoding.word_ids)  # no token is special here
        found = zip(encoding.ids, words, encoding.offsets, strict=True)
        return [pieces[word][slice(*span)] for number, word, span in found if number == UNK]

    def decode(self, ids: Iterable[int], further: Sequence[str] = ()) -> str:
        """The text of token ids; begin, end and padding vanish, UNK shows as <unk>.

        Args:
            further: tokens whose ids follow those of the vocabulary.
        """
        return unmarked(self.tokens(ids, further))

    def decode_batch(self, rows: Iterable[Iterable[int]]) -> list[str]:
        return [self.decode(row) for row in rows]

    def tokens(self, ids: Iterable[int], further: Sequence[str] = ()) -> list[str]:
        """The tokens of these ids, marks included; special ones but UNK left out."""
        known = len(self._tokens)
        return [
            self._tokens[number] if number < known else further[number - known]
            for number in ids
            if number >= UNK
        ]

    def words(
        self, ids: Sequence[int] | np.ndarray, further: Sequence[str] = ()
    ) -> tuple[tuple[str, ...], np.ndarray]:
        """The words that token ids spell, and the word of every token (T, -1 for special ones).

        For ids that a model wrote; texts that were encoded know their words already
        (`segment_batch`). A token that reaches over a border of words makes them one.
        """
        # Plain lists: one text is too short for arrays to pay.
        numbers = ids.tolist() if isinstance(ids, np.ndarray) else list(ids)
        shown = [number for number in numbers if number >= UNK]
        # An unknown token stands for a word or for letters; "x" keeps the splitting regular.
        spelt = self.tokens(shown, further)
        plain = [
            self._stand_in if number == UNK else token
            for number, token in zip(shown, spelt, strict=True)
        ]
        borders = set(word_starts("".join(plain)))
        pieces: list[str] = []
        word_of: list[int] = []
        place = 0
        for letters, token in zip(plain, spelt, strict=True):
            if place in borders or not pieces:
                pieces.append(token)
            else:
                pieces[-1] += token
            word_of.append(len(pieces) - 1)
            place += len(letters)
        index = np.full(len(numbers), -1, dtype=np.int64)
        index[[number >= UNK for number in numbers]] = word_of
        return tuple(piece.removeprefix(MARK) for piece in pieces), index

    def to_json(self) -> str:
        return json.dumps({"kind": self.kind, "model": json.loads(self._model.to_str())})

    @classmethod
    def from_json(cls, text: str) -> Tokenizer:
        import tokenizers

        data = json.loads(text)
        return cls(data["kind"], tokenizers.Tokenizer.from_str(json.dumps(data["model"])))

    @cached_property
    def fingerprint(self) -> str:
        """Digest of all that decides how texts are encoded and decoded."""
        return digest("tokeniser", json.loads(self.to_json()))

    @cached_property
    def _tokens(self) -> list[str]:
        by_id = {number: token for token, number in self._model.get_vocab().items()}
        tokens = [by_id[number] for number in range(self.size)]
        tokens[UNK] = self._stand_in.replace("x", SPECIALS[UNK])
        return tokens

    @property
    def _stand_in(self) -> str:
        return f"{MARK}x" if self.kind == "word" else "x"
