"""What can happen to the other ranks of a trial."""

from __future__ import annotations


class RankLost(Exception):
    """The process of another rank has died; what this one does comes to nothing."""


class RankFailed(Exception):
    """Another rank has failed where this one did not.

    Attributes:
        kind, message: of its failure.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
