"""The generated reports of summarization: options and splits (`tasks.summarization.synthetic`)."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from random import Random

from pydantic import Field, model_validator

from bench.errors import UsageError
from tasks.base import Dataset, DatasetOptions, datasets
from tasks.summarization.datasets import Document, SummaryCorpus
from tasks.summarization.synthetic import AGENTS, MOST_NAMES, ReportWriter, made_up_names
from tasks.synthetic_splits import SyntheticSplit, synthetic_splits, unseen


class SyntheticOptions(DatasetOptions):
    """Options of the generator."""

    fewest: int = Field(1, ge=1, description="sentences of the shortest reports")
    sentences: int = Field(
        6, ge=1, description="sentences of the longest reports; those of 'long' have twice as many"
    )
    noise: float = Field(
        0.3, ge=0, le=1, description="share of sentences that open with words of no use"
    )
    same_agent: float = Field(
        0.2, ge=0, le=1, description="share of the other events that have the main event's agent"
    )
    decoys: float = Field(
        0.3,
        ge=0,
        le=1,
        description="share of reports (with two sentences or more that are no news) with an event"
        " that is told as certain and denied later",
    )
    news: int = Field(
        3,
        ge=1,
        le=6,
        description="most events that make a headline, of at most every other sentence: with more"
        " than one, longer reports have longer headlines",
    )
    rewording: float = Field(
        0.1, ge=0, le=1, description="share of headlines with the rarer verb, which cannot be told"
    )
    names: int = Field(
        0,
        ge=0,
        le=MOST_NAMES,
        description="made-up company names (at least 20) in place of the usual ones: with many of"
        " them and a small vocab_size most names are unknown words, which can only be copied",
    )
    train_size: int = Field(6000, ge=1, description="training reports")
    validation_size: int = Field(250, ge=1, description="validation reports")
    test_size: int = Field(400, ge=1, description="reports in each of the two test sets")
    data_seed: int = Field(1, ge=0, description="draws the reports; not the trial's seed")

    @model_validator(mode="after")
    def _ordered(self) -> SyntheticOptions:
        if self.fewest > self.sentences:
            raise ValueError("fewest must not be above sentences")
        if 0 < self.names < 20:
            raise ValueError("20 names are the fewest that a report can do with")
        return self


@datasets("summarization").register("synthetic")
class SyntheticDataset(Dataset[SummaryCorpus]):
    """Generated reports with the positions of the words taken over."""

    name = "synthetic"
    summary = "generated reports with one main event, told again as a headline"
    external = False
    gold = True
    Options = SyntheticOptions

    @classmethod
    def load(cls, options: SyntheticOptions, data_root: Path | None) -> SummaryCorpus:
        """Generate the corpus; the same options give the same bytes."""
        return generate(options)


# A warm worker tests many cells on the same texts.
@lru_cache(maxsize=1)
def generate(options: SyntheticOptions) -> SummaryCorpus:
    """All splits. Raises UsageError if too few different reports exist."""
    few, most = options.fewest, options.sentences
    splits = synthetic_splits(
        options.train_size,
        options.validation_size,
        options.test_size,
        within=(few, most),
        long=(max(most + 1, 2 * most - most // 4), 2 * most),
    )
    seen: set[Hashable] = set()
    made = {split.name: _reports(split, options, seen) for split in splits}
    return SummaryCorpus(
        train=made["train"],
        validation=made["validation"],
        tests={"test": made["test"], "long": made["long"]},
        notes=(
            f"synthetic set: {few} to {most} sentences a report,"
            f" {splits[1].shortest} to {splits[1].longest} in 'long';"
            f" {options.rewording:.0%} of the headlines use a rarer verb",
        ),
    )


def _reports(
    split: SyntheticSplit, options: SyntheticOptions, seen: set[Hashable]
) -> tuple[Document, ...]:
    # The text that seeds the draws is part of the data: another one gives other reports.
    rng = Random(f"summarization probe {options.data_seed} {split.name}")
    writer = ReportWriter(
        noise=options.noise,
        same_agent=options.same_agent,
        decoys=options.decoys,
        news=options.news,
        rewording=options.rewording,
        agents=made_up_names(options.names) if options.names else AGENTS,
    )

    reports = unseen(
        split.size,
        lambda: writer.report(rng, split.shortest, split.longest),
        lambda report: (report.source_text,),
        seen,
        lambda found: UsageError(
            f"found only {found} of {split.size} different reports"
            f" of up to {split.longest} sentences",
            where=f"{SyntheticDataset.name}, {split.name} split",
            remedy="ask for fewer reports or more sentences",
        ),
    )
    return tuple(
        replace(report, id=f"{split.name}-{number}") for number, report in enumerate(reports)
    )
