"""Texts taken from something else as they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, overload


@dataclass(frozen=True)
class Texts(Sequence[str]):
    """One text of every item; none is kept.

    Attributes:
        side: the attribute of an item that is its text ("source_text", ...).
    """

    items: Sequence[Any]
    side: str

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[str]:
        return map(attrgetter(self.side), self.items)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Texts: ...
    def __getitem__(self, index: int | slice) -> str | Texts:
        if isinstance(index, slice):
            return Texts(self.items[index], self.side)
        text: str = getattr(self.items[index], self.side)
        return text
