"""What the baselines reach, worked out once per corpus and kept in the cache."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tasks.cache import cached, digest
from tasks.entailment.controls import controls
from tasks.entailment.corpus import EntailmentCorpus
from tasks.entailment.metrics import correctness, gold_classes

# Raised when the same corpus would give other figures than before.
VERSION = 2


def control_figures(corpus: EntailmentCorpus, cache: Path) -> Mapping[str, Mapping[str, float]]:
    """Accuracy of every baseline, by test set and by the baseline's name.

    Raises UsageError: the cache cannot be written.
    """
    key = digest("entailment controls", VERSION, corpus.fingerprint)
    path = cached(cache / "controls", key, lambda target: _write(target, corpus), suffix=".json")
    return json.loads(path.read_text("utf-8"))


def _write(path: Path, corpus: EntailmentCorpus) -> None:
    baselines = controls(corpus)
    figures = {
        subset: {
            one.name: float(correctness(gold_classes(pairs), one.predictions[subset]).mean())
            for one in baselines
        }
        for subset, pairs in corpus.tests.items()
    }
    path.write_text(json.dumps(figures), "utf-8")
