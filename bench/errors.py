"""The errors a user can cause, each said in one line: what, where, and what would do.

The command line turns a `UsageError` into that line and exit status 2; nothing else is caught,
so a defect of ours still shows its traceback.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from functools import partial


class UsageError(ValueError):
    """Error of a user's input.

    Args:
        what: what is wrong, as a sentence without its full stop.
        where: the file, line, option or axis it was found in.
        remedy: what would do instead.
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what, self.where, self.remedy = what, where, remedy
        line = f"{where}: {what}" if where else what
        super().__init__(one_line(f"{line}; {remedy}" if remedy else line))

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments do not survive the default pickling between Ray workers.
        return partial(type(self), where=self.where, remedy=self.remedy), (self.what,)


class NotApplicable(UsageError):
    """A combination of axes that has no meaning; `what` is the reason shown in reports."""


class OtherData(UsageError):
    """Data that are not those of the cell that was planned."""


def unknown_name(kind: str, name: str, known: Iterable[str], *, where: str = "") -> UsageError:
    """Make the error for a name that is not registered, with the nearest one that is.

    The nearest name is found regardless of case and of '_' against '-'.
    """
    names, name = sorted(known), shortened(name)
    folded = {_fold(candidate): candidate for candidate in names}
    near = get_close_matches(_fold(name), folded, n=1, cutoff=0.5)
    listed = f"known: {', '.join(names)}" if names else "none is known"
    remedy = f"did you mean '{folded[near[0]]}'? ({listed})" if near else listed
    return UsageError(f"unknown {kind} '{name}'", where=where, remedy=remedy)


def one_line(message: str) -> str:
    """A message in one line that a terminal can show, whatever a user's files and options put into
    it: control characters are escaped, and of a very long one the middle is left out."""
    line = " ".join(message[:_LONGEST_READ].split())
    line = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", line)
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 300]} ... {line[-290:]}"


#: Characters of a message; a remedy may list all names that are known.
_LONGEST, _LONGEST_READ = 900, 100_000
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def shortened(text: str, length: int = 60) -> str:
    """A text from a user's file as a message shows it: in one line, its beginning if it is long."""
    line = " ".join(text[: 4 * length].split())
    return line if len(line) <= length and len(text) <= 4 * length else f"{line[:length]}..."


def _fold(name: str) -> str:
    return name.lower().replace("_", "-")


def reason_of(error: Exception) -> str:
    """Message of an error in one line; a validation error names its first field."""
    fields = getattr(error, "errors", None)
    if callable(fields):
        first = fields()[0]
        place = ".".join(str(part) for part in first["loc"])
        return f"{place}: {first['msg']}" if place else str(first["msg"])
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return " ".join(f"{type(error).__name__}: {error}".split())
