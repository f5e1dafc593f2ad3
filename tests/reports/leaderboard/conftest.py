"""A store of real trials (smoke budget, seconds each) and the bundle of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from ablations.trial import run_trial
from ablations.trial_interface import TrialOptions
from bench.store.result import Result
from bench.store.store import Store
from reports.leaderboard.bundle import open_bundle
from reports.leaderboard.rules import Rules, load_rules
from reports.leaderboard.submission import submit
from reports.leaderboard.verify import Verdict, verify
from tasks.base import Paths
from tasks.plan import make_cell

#: Attentions that are run, by task.
RUN = {
    "translation": ("none", "soft", "global"),
    "entailment": ("none", "soft", "global"),
    "captioning": ("soft",),
    "speech": ("soft",),
    "summarization": ("soft",),
}


@dataclass
class Bench:
    """What tests of the leaderboard work with.

    Attributes:
        results: by task and attention.
        bundle: of all of them.
    """

    folder: Path
    store: Store
    paths: Paths
    rules: Rules
    results: dict[tuple[str, str], Result]
    bundle: Path

    def trial(self, task: str, attention: str = "soft") -> str:
        return self.results[task, attention].hash

    def verify(self, bundle: Path) -> Verdict:
        return verify(open_bundle(bundle, self.rules.limits), self.rules, self.paths)

    def said(self, bundle: Path) -> list[str]:
        """All problems of a bundle, as text."""
        return [str(problem) for problem in self.verify(bundle).problems]

    def of(
        self, *tasks: str, attentions: tuple[str, ...] = ("soft",), name: str = "bundle"
    ) -> Path:
        """A bundle of some of the results."""
        chosen = {"task": tasks, "attention": attentions}
        target = self.folder / f"{name}-{'-'.join((*tasks, *attentions))}.zip"
        submit(self.store, target, self.rules, name=name, selected=chosen)
        return target


@pytest.fixture(scope="session")
def trials(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("leaderboard")
    store = Store.open(folder / "store", create=True)
    context = TrialOptions(store_address=store.address, data_root=None, cache=str(store.cache))
    results = {
        (task, attention): run_trial(make_cell(task, attention, budget="smoke"), context)
        for task, attentions in RUN.items()
        for attention in attentions
    }
    rules = load_rules("practice")
    bundle = folder / "all.zip"
    submit(store, bundle, rules, name="all of it")
    return Bench(folder, store, Paths(None, store.cache), rules, results, bundle)


@pytest.fixture
def more(trials: Bench) -> Callable[..., Result]:
    """Runs another cell into a store."""

    def run(store: Store, task: str, attention: str, **options: object) -> Result:
        context = TrialOptions(
            store_address=store.address, data_root=None, cache=str(trials.store.cache)
        )
        return run_trial(make_cell(task, attention, budget="smoke", options=options), context)

    return run
