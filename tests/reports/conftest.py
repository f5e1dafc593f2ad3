"""A store as a sweep would leave it: 14 mechanisms on a made-up language, told apart by how often
they err, with predictions, traces, a failure and two seeds of some. Everything is computed from
texts and weights made here; nothing is trained."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pytest

from bench.attention.registries import NO_SCORE
from bench.store.cell import Cell
from bench.store.result import Alignment, Cost, Failure, Primary, Provenance, Result, Trace
from bench.store.store import Store
from reports.catalogue import AxisEntry, Catalogue, TaskEntry
from reports.pages.report import Report, build_report
from reports.pages.site import write_report
from tasks.base import Prediction
from tasks.evaluation.alignment import Case, agreement, diagonal_weights, uniform_weights
from tasks.evaluation.bootstrap import bootstrap, by_length
from tasks.translation.metrics import bleu, bleu_statistics

SUPPORT = str(Path(__file__).parent.parent / "support")
if SUPPORT not in sys.path:
    sys.path.insert(0, SUPPORT)
from made_up import MECHANISMS, TARGET, Mechanism, Sentence, sentences  # noqa: E402


@dataclass
class StoreMaker:
    """Fills a store with made-up results."""

    store: Store
    examples: int = 120
    study: str = "overview"
    tests: dict[str, list[Sentence]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tests = {
            "test": sentences("test", self.examples, (4, 12)),
            "long": sentences("long", self.examples // 2, (14, 24)),
        }

    def add(self, mechanism: Mechanism, seed: int, **axes: object) -> Result:
        """One finished trial, with its predictions and traces."""
        cell = Cell(
            "translation", "synthetic", mechanism.attention, mechanism.score, seed=seed, **axes
        )  # type: ignore[arg-type]
        rng = np.random.default_rng(int(cell.hash[:8], 16))
        luck = 1 + 0.03 * rng.standard_normal()
        rows, statistics, metrics, bins = [], {}, {}, []
        for subset, pairs in self.tests.items():
            texts = [self._write_report(pair, mechanism, rng, luck) for pair in pairs]
            counts = bleu_statistics(
                [" ".join(t) for t in texts], [" ".join(p.target) for p in pairs]
            )
            statistics[subset] = counts
            bins += by_length(
                subset, np.array([len(p.source) for p in pairs]), counts, bleu, bins=4
            )
            prefix = "" if subset == "test" else f"{subset}_"
            metrics[f"{prefix}bleu"] = float(bleu(counts.sum(axis=0)))
            metrics[f"{prefix}perplexity"] = 1.5 + 10 * mechanism.errors * luck
            rows += [
                _prediction(pair, subset, text, count)
                for pair, text, count in zip(pairs, texts, counts, strict=True)
            ]
        interval = bootstrap(statistics["test"], bleu, resamples=200)
        result = Result(
            hash=cell.hash,
            cell_json=cell.to_json(),
            status="done",
            metrics=metrics,
            primary=Primary(
                name="bleu",
                value=interval.value,
                low=interval.low,
                high=interval.high,
                higher_is_better=True,
            ),
            by_length=tuple(bins),
            alignment=self._alignment(mechanism, rng),
            cost=Cost(
                parameters=mechanism.parameters,
                attention_parameters=mechanism.parameters - 310_000,
                train_seconds=mechanism.seconds * luck,
                train_tokens_per_second=60_000 / mechanism.seconds,
                decode_examples_per_second=900 / mechanism.seconds,
                peak_memory_bytes=int(mechanism.parameters * 900),
                total_seconds=mechanism.seconds + 2,
            ),
            curve=tuple(
                {
                    "step": float(step),
                    "seconds": step / 30,
                    "loss": 4.2 * float(np.exp(-step / 120)) + 3 * mechanism.errors,
                    "validation_loss": 4.0 * float(np.exp(-step / 130)) + 3.4 * mechanism.errors,
                }
                for step in range(60, 361, 60)
            ),
            provenance=self.provenance(),
        )
        self.store.put(result, [asdict(row) for row in rows], self._traces(mechanism, rng))
        return result

    def fail(self, cell: Cell, kind: str, message: str) -> Result:
        """One failed trial."""
        result = Result(
            hash=cell.hash,
            cell_json=cell.to_json(),
            status="failed",
            failure=Failure(kind=kind, message=message),
            provenance=self.provenance(),
        )
        self.store.put(result)
        return result

    def provenance(self) -> Provenance:
        return Provenance(
            package_version="0.1.0",
            commit="0123456789abcdef0123456789abcdef01234567",
            libraries={"python": "3.11.9", "torch": "2.11.0", "sacrebleu": "2.5.1"},
            device="Some Processor (1 thread)",
            signatures={"bleu": "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.5.1"},
            study=self.study,
            started="2025-01-31T12:00:00.000Z",
            finished="2025-01-31T12:04:10.000Z",
        )

    def _write_report(
        self, pair: Sentence, mechanism: Mechanism, rng: np.random.Generator, luck: float
    ) -> list[str]:
        rate = min(0.9, (mechanism.errors + mechanism.per_word * len(pair.source)) * luck)
        wrong = rng.random(len(pair.target)) < rate
        other = rng.integers(0, len(TARGET), len(pair.target))
        return [TARGET[other[t]] if wrong[t] else word for t, word in enumerate(pair.target)]

    def _weights(
        self, pair: Sentence, mechanism: Mechanism, rng: np.random.Generator
    ) -> np.ndarray:
        logits = 0.8 * rng.standard_normal((len(pair.target), len(pair.source)))
        for t, s in pair.links:
            if rng.random() > mechanism.errors:
                logits[t, s] += mechanism.sharpness
        if mechanism.attention == "hard":
            logits = logits * 40
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        return weights / weights.sum(axis=1, keepdims=True)

    def _alignment(self, mechanism: Mechanism, rng: np.random.Generator) -> Alignment | None:
        if not mechanism.sharpness:
            return None
        pairs = self.tests["test"][:40]

        def judged(make: Callable[[Sentence], np.ndarray]) -> Alignment:
            figures = agreement(Case(make(pair), pair.links) for pair in pairs).figures()
            return Alignment(**figures.model_dump())

        own = judged(lambda pair: self._weights(pair, mechanism, rng))
        return own.model_copy(
            update={
                "forced": judged(lambda pair: self._weights(pair, mechanism, rng)),
                "baselines": {
                    "uniform": judged(
                        lambda pair: uniform_weights(len(pair.target), len(pair.source))
                    ),
                    "diagonal": judged(
                        lambda pair: diagonal_weights(len(pair.target), len(pair.source))
                    ),
                },
            }
        )

    def _traces(self, mechanism: Mechanism, rng: np.random.Generator) -> list[dict[str, object]]:
        if not mechanism.sharpness:
            return []
        return [
            Trace(
                example=pair.name,
                subset=subset,
                mode=mode,
                kind="words",
                source=(*pair.source, "</s>"),
                target=pair.target,
                weights=np.pad(self._weights(pair, mechanism, rng), ((0, 0), (0, 1))),
                gold=pair.links,
            ).to_json()
            for subset, pairs in self.tests.items()
            for pair in pairs[:4]
            for mode in ("free", "forced")
        ]


def _prediction(pair: Sentence, subset: str, text: list[str], count: np.ndarray) -> Prediction:
    right = sum(a == b for a, b in zip(text, pair.target, strict=True))
    return Prediction(
        example=pair.name,
        subset=subset,
        source=" ".join(pair.source),
        references=(" ".join(pair.target),),
        prediction=" ".join(text),
        length=len(pair.source),
        score=100 * right / len(text),
        statistics=tuple(count.tolist()),
    )


def fill(folder: Path, **knobs: object) -> StoreMaker:
    """A store with all mechanisms and one failure."""
    maker = StoreMaker(Store.open(folder, create=True), **knobs)  # type: ignore[arg-type]
    for mechanism in MECHANISMS:
        for seed in mechanism.seeds:
            maker.add(mechanism, seed)
    maker.fail(
        Cell("translation", "synthetic", "global", "location-aware"),
        "diverged",
        "the training loss was nan by step 60",
    )
    return maker


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> StoreMaker:
    return fill(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="session")
def store(made: StoreMaker) -> Store:
    return made.store


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    """The axes as registered, without importing torch."""
    attentions = (
        ("none", "Sutskever 2014"),
        ("soft", "Bahdanau 2015"),
        ("hard", "Xu 2015"),
        ("global", "Luong 2015"),
        ("local-m", "Luong 2015"),
        ("local-p", "Luong 2015"),
        ("self", "Vaswani 2017"),
        ("hierarchical", "Yang 2016"),
        ("multi-step", "Gehring 2017"),
        ("over", "Cui 2017"),
    )
    scores = ("dot", "scaled-dot", "general", "concat", "location-aware")
    parallel = ("self", "over", "multi-step")
    return Catalogue(
        attentions=tuple(
            AxisEntry(name, f"what {name} does", source, NO_SCORE if name == "none" else "dot")
            for name, source in attentions
        ),
        scores=tuple(AxisEntry(name, f"the formula of {name}") for name in scores),
        tasks={
            "translation": TaskEntry(
                "translation", "a sentence to a sentence", "source words", "target tokens"
            )
        },
        refusals={
            ("translation", name, "location-aware"): (
                f"{name} takes all steps at once: there is no previous step to look at"
            )
            for name in parallel
        },
        controls=frozenset({"none"}),
        data_options={("translation", "synthetic"): frozenset({"length", "noise"})},
    )


@pytest.fixture(scope="session")
def report(store: Store, catalogue: Catalogue) -> Report:
    return build_report(store, catalogue=catalogue)


@pytest.fixture(scope="session")
def site(report: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a written report."""
    folder = tmp_path_factory.mktemp("report")
    write_report(report, folder)
    return folder
