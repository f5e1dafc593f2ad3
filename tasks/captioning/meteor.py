"""METEOR (Denkowski and Lavie 2014) through pycocoevalcap, which runs it in Java."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

#: Seconds after which a Java process that gives no answer is ended.
PATIENCE = 600.0


def meteor(
    predictions: Sequence[str], references: Sequence[Sequence[str]]
) -> tuple[float, np.ndarray] | str:
    """METEOR of a test set and of each picture (N), fractions; or the reason why there is none.

    Takes several seconds to start. Args are tokens joined by blanks.
    """
    if shutil.which("java") is None:
        return "no METEOR: there is no java on the PATH"
    try:
        from pycocoevalcap.meteor.meteor import Meteor

        scorer = Meteor()
    except (ImportError, OSError) as error:
        return f"no METEOR: {error}"
    # The library waits for answers without end: a process that hangs is killed, which it notices.
    watchdog = threading.Timer(PATIENCE, scorer.meteor_p.kill)
    watchdog.start()
    try:
        total, each = scorer.compute_score(*_numbered(predictions, references))
        return float(total), np.asarray(each)
    except (OSError, ValueError) as error:
        return f"no METEOR: java answered nothing that can be read ({error})"
    finally:
        watchdog.cancel()
        # Its destructor takes this lock, which it holds for ever after an error, and closes this
        # pipe, which fails where nobody reads it any more.
        if scorer.lock.locked():
            scorer.lock.release()
        with suppress(OSError):
            scorer.meteor_p.stdin.close()


def _numbered(
    predictions: Sequence[str], references: Sequence[Sequence[str]]
) -> tuple[dict[int, Any], dict[int, Any]]:
    """References and predictions in pycocoevalcap's form. An empty caption would put the process
    out of step; a word no reference has scores the same."""
    truths = {number: list(texts) for number, texts in enumerate(references)}
    return truths, {number: [text or "-"] for number, text in enumerate(predictions)}
