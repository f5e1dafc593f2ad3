"""The errors a user can cause, each said in one line: what, where, and what would do.

The command line turns a `UsageError` into that line and exit status 2; nothing else is caught,
so a defect of ours still shows its traceback. Whatever a file holds, the line stays short and
shows every character of it: long parts lose their middle, invisible characters are escaped.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches
from functools import partial

#: Most characters of a sentence or place in a message, and of a remedy (which may list our names).
SHOWN, REMEDY_SHOWN = 240, 800
# White space that a message folds to one blank; every other invisible character is escaped.
_FOLDED = " \t\n\r"
# Of no width, though Unicode counts them as letters, symbols or marks: fillers, the blank Braille
# pattern, joiners and variation selectors.
_FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | frozenset(
    map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)))
)


class UsageError(ValueError):
    """Error of a user's input. All three parts are kept as they are shown (`one_line`).

    Args:
        what: what is wrong, as a sentence without its full stop.
        where: the file, line, option or axis it was found in.
        remedy: what would do instead.
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what, self.where = one_line(what), one_line(where)
        self.remedy = one_line(remedy, REMEDY_SHOWN)
        line = f"{self.where}: {self.what}" if self.where else self.what
        super().__init__(f"{line}; {self.remedy}" if self.remedy else line)

    @classmethod
    def repeated(cls, line: str) -> UsageError:
        """The error of a line that another process made of one: nothing is left out of it again."""
        error = cls(line)
        error.what, error.args = line, (line,)
        return error

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments do not survive the default pickling between Ray workers.
        return partial(type(self), where=self.where, remedy=self.remedy), (self.what,)


class NotApplicable(UsageError):
    """A combination of axes that has no meaning; `what` is the reason shown in reports."""


class OtherData(UsageError):
    """Data that are not those of the cell that was planned."""


def one_line(text: str, most: int = SHOWN) -> str:
    """The text on one line: runs of blanks folded, invisible characters escaped (`\\u200b`), and
    the middle left out where it has more than `most` characters."""
    if len(text) > 4 * most:  # nothing is gained by escaping what will be cut
        text = f"{text[: 2 * most]} ... {text[-2 * most :]}"
    if not (text.isascii() and text.isprintable()):
        text = "".join(map(_escaped, text))
    return shortened(" ".join(text.split()), most)


def shortened(text: str, most: int) -> str:
    """The text, its middle left out where it has more than `most` characters."""
    if len(text) <= most:
        return text
    tail = (most - 5) // 3
    return f"{text[: most - 5 - tail]} ... {text[-tail:]}"


def listed(names: Iterable[object]) -> str:
    """Names that a file holds, for a message: the first dozen, and how many more there are."""
    shown = [shortened(str(name), 24) or "''" for name in names]
    more = [f"and {len(shown) - 12} more"] if len(shown) > 12 else []
    return ", ".join(shown[:12] + more) or "none"


def blank(text: str) -> bool:
    """Whether nothing of a text can be seen: white space of any kind, control, format and filler
    characters."""
    return not "!" <= text[:1] <= "~" and not any(map(_visible, text))


def _visible(character: str) -> bool:
    if character.isprintable():
        return not character.isspace() and character not in _FILLERS
    return unicodedata.category(character) in ("Co", "Cn")  # private, or newer than this Python


def _escaped(character: str) -> str:
    if character in _FOLDED:
        return " "
    if character.isprintable() and character not in _FILLERS:
        return character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def unknown_name(kind: str, name: str, known: Iterable[str], *, where: str = "") -> UsageError:
    """Make the error for a name that is not registered, with the nearest one that is.

    The nearest name is found regardless of case and of '_' against '-'.
    """
    names, name = sorted(known), one_line(name, 60)
    folded = {_fold(candidate): candidate for candidate in names}
    near = get_close_matches(_fold(name), folded, n=1, cutoff=0.5)
    listed = f"known: {', '.join(names)}" if names else "none is known"
    remedy = f"did you mean '{folded[near[0]]}'? ({listed})" if near else listed
    return UsageError(f"unknown {kind} '{name}'", where=where, remedy=remedy)


def _fold(name: str) -> str:
    return name.lower().replace("_", "-")


def reason_of(error: Exception) -> str:
    """Message of an error in one line; a validation error names its first field."""
    fields = getattr(error, "errors", None)
    if callable(fields):
        first = fields()[0]
        place = ".".join(str(part) for part in first["loc"])
        return one_line(f"{place}: {first['msg']}" if place else str(first["msg"]))
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return one_line(f"{type(error).__name__}: {error}")
