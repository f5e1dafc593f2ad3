"""The overview shows what validation data chose, not what was luckiest on the test set."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from made_up import Mechanism

from bench.store.result import Result
from bench.store.store import Store
from reports import load as frames
from reports.catalogue import Catalogue
from reports.load import Frame
from reports.pages.report import Report, build_report
from reports.pages.site import pages, report_text
from reports.results import read
from reports.statistics.baselines import Selection, select_by_validation
from reports.tables import Number

# Test figures put general first and concat last; validation figures say the opposite.
TRIED = {"general": (0.03, 0.9), "dot": (0.1, 0.5), "concat": (0.25, 0.2)}


def ending(result: Result, end: dict[str, float] | None) -> Result:
    """The same result with a curve that ends so (and began better)."""
    first = {"step": 60.0, "loss": 1.0, "validation_loss": 0.001, "validation_bleu": 99.0}
    curve = () if end is None else (first, end)
    return result.model_copy(update={"curve": curve})


@pytest.fixture(scope="module")
def maker(made: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    store = Store.open(tmp_path_factory.mktemp("disagreeing"), create=True)
    maker = type(made)(store, examples=60)
    for score, (errors, loss) in TRIED.items():
        for seed in (1, 2):
            done = maker.add(Mechanism("global", score, errors, 0, 3.0, 400_000, 12.0), seed)
            point = {"step": 120.0, "loss": loss, "validation_loss": loss + 0.01 * seed}
            store.put(ending(done, point), store.predictions(done.hash))
    maker.add(Mechanism("none", "none", 0.4, 0, 0, 300_000, 9.0), 1)
    return maker


@pytest.fixture(scope="module")
def told(maker: Any) -> Report:
    return build_report(maker.store, catalogue=Catalogue())


def shown(report: Report, attention: str) -> Number:
    row = next(row for row in report.overview.rows if row.label == attention)
    (entry,) = row.entries
    assert isinstance(entry, Number)
    return entry


def test_validation_chooses_and_the_test_figure_of_the_chosen_is_shown(told: Report) -> None:
    entry = shown(told, "global")
    assert entry.note == "with concat"
    frame = told.sections[0].analysis.frame
    figures = {
        one.score: sum(result.primary.value for result in one.done if result.primary) / 2
        for one in frame.contenders
        if one.attention == "global"
    }
    assert figures["general"] > figures["dot"] > figures["concat"]
    assert entry.value == pytest.approx(figures["concat"])


def test_page_and_text_say_so(told: Report) -> None:
    for text in (report_text(told), pages(told)["index.html"]):
        assert "did best on validation data" in text
        assert "did best on the test set" not in text


def frame_of(maker: Any, ends: dict[str, list[dict[str, float] | None]]) -> Frame:
    """The maker's frame with other ends of the curves of some scores, by seed."""
    results, _ = read(maker.store)
    (frame,) = frames.collect("store", results, Catalogue()).frames
    changed: list[Any] = []
    for one in frame.contenders:
        new = ends.get(one.score, [dict(result.curve[-1]) for result in one.done])
        done = tuple(ending(result, end) for result, end in zip(one.done, new, strict=True))
        changed.append(replace(one, done=done))
    return replace(frame, contenders=tuple(changed))


def chosen(frame: Frame) -> tuple[str, str | None]:
    places = [at for at, one in enumerate(frame.contenders) if one.attention == "global"]
    found: Selection = select_by_validation(frame, places)
    return frame.contenders[found.place].score, found.figure


def points(*values: float, key: str = "validation_bleu") -> list[dict[str, float] | None]:
    return [{"validation_loss": 1.0, key: value} for value in values]


def test_the_counterpart_of_the_headline_figure_goes_first(maker: Any) -> None:
    ends = {"general": points(20, 22), "dot": points(40, 41), "concat": points(39, 41)}
    assert chosen(frame_of(maker, ends)) == ("dot", "validation_bleu")


def test_where_not_all_have_it_the_loss_decides(maker: Any) -> None:
    ends = {
        "general": points(90, 91),
        "dot": points(0.3, 0.1, key="validation_loss"),
        "concat": points(0.3, 0.2, key="validation_loss"),
    }
    assert chosen(frame_of(maker, ends)) == ("dot", "validation_loss")


def test_what_was_not_validated_is_not_chosen(maker: Any) -> None:
    ends = {"concat": [None, None], "dot": [{"validation_loss": 0.1}, {"loss": 0.1}]}
    assert chosen(frame_of(maker, ends)) == ("general", "validation_loss")


def test_without_any_validation_the_test_figure_decides_and_the_page_says_so(
    maker: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ends: dict[str, list[dict[str, float] | None]] = {score: [None, None] for score in TRIED}
    assert chosen(frame_of(maker, ends)) == ("general", None)
    bare = type(maker)(Store.open(tmp_path_factory.mktemp("bare"), create=True), examples=30)
    for score, (errors, _) in TRIED.items():
        done = bare.add(Mechanism("global", score, errors, 0, 3.0, 400_000, 12.0), 1)
        bare.store.put(ending(done, None), bare.store.predictions(done.hash))
    note = shown(build_report(bare.store, catalogue=Catalogue()), "global").note
    assert note == "with general, the best on the test set: no validation figures are kept"
