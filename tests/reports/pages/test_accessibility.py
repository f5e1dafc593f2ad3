"""Every kind of page as axe sees it: no finding by WCAG 2 A and AA or best practice, on a phone and
on a wide screen, light and dark, with everything open that opens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

#: The rules that pages are held to.
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
#: File of each kind of page, as a pattern in the folder of `shown`. Explorers of words, pictures,
#: sounds and documents draw differently, and so do the pages of `attnbench try`.
PAGES = {
    "front page": "report/index.html",
    "task page": "report/translation.html",
    "task page with confusion": "report/entailment.html",
    "task page of several settings": "report/speech.html",
    "page of a setting": "report/speech-synthetic-smoke.html",
    "comparisons": "report/comparisons.html",
    "tuning": "report/tuning.html",
    "replication": "report/replication.html",
    "cell": "report/cell-translation-synthetic-laptop-soft-concat-*.html",
    "explorer of words": "report/attention-translation-synthetic-laptop.html",
    "explorer of a picture": "report/attention-captioning-synthetic-laptop.html",
    "explorer of a sound": "report/attention-speech-synthetic-laptop.html",
    "explorer of a document": "report/attention-summarization-synthetic-laptop.html",
    "two stores": "compared/index.html",
    "board": "board/index.html",
    "try words": "try/words.html",
    "try a picture": "try/picture.html",
    "try a sound": "try/sound.html",
}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, made) -> Path:
    """A folder with every kind of page, of few and small results."""
    folder = tmp_path_factory.mktemp("shown")
    _write_report(folder, type(made))
    _write_board(folder)
    _write_tried(folder / "try")
    return folder


def _write_report(folder: Path, maker_of: type) -> None:
    """The report of a store, and its comparison with itself."""
    from made_up import MECHANISMS
    from sample_results import put, put_entailment, put_traced_tasks
    from searched import put_search

    from bench.store.cell import Cell
    from bench.store.store import Store
    from reports.pages.comparison import write_comparisons
    from reports.pages.report import build_report
    from reports.pages.site import write_report
    from reports.statistics.comparison import compare
    from tasks.plan import make_cell

    store = Store.open(folder / "store", create=True)
    maker = maker_of(store, examples=40)
    for mechanism in MECHANISMS[:4]:
        for seed in mechanism.seeds:
            maker.add(mechanism, seed)
    maker.fail(Cell("translation", "synthetic", "global", "concat"), "diverged", "loss was nan")
    put_entailment(store)
    put_traced_tasks(store)
    for attention, score, errors in (("none", "none", 30), ("soft", "concat", 10)):
        cell = Cell("speech", "synthetic", attention, score, budget="smoke")
        scores = [1.0] * errors + [0.0] * (40 - errors)
        put(store, cell, scores, headline="per", higher=False, converged=attention == "soft")
    put_search(store, [make_cell("translation", "soft", "concat")], early_stopping=True)
    (folder / "store" / "trials" / f"{'0' * 64}.json").write_text("no result")
    write_report(build_report(store), folder / "report")
    write_comparisons([compare(store, store)], folder / "compared")


def _write_board(folder: Path) -> None:
    from ablations.trial import run_trial
    from ablations.trial_interface import TrialOptions
    from bench.store.store import Store
    from reports.leaderboard.board import build_board
    from reports.leaderboard.board_tables import write_board
    from reports.leaderboard.rules import load_rules
    from reports.leaderboard.submission import submit
    from tasks.base import Paths
    from tasks.plan import make_cell

    store, rules = Store.open(folder / "ranked", create=True), load_rules("practice")
    options = TrialOptions(store_address=store.address, data_root=None, cache=str(store.cache))
    for attention in ("none", "soft"):
        run_trial(make_cell("entailment", attention, budget="smoke"), options)
    bundle, spoilt = folder / "good.zip", folder / "spoilt.zip"
    submit(store, bundle, rules, name="good")
    spoilt.write_bytes(b"no bundle")
    write_board(
        build_board([bundle, spoilt], rules, None, Paths(None, store.cache)), folder / "board"
    )


def _write_tried(folder: Path) -> None:
    """What a model made of a sentence, a picture and a sound."""
    import numpy as np
    import soundfile
    from PIL import Image
    from sample_results import document_trace, photo_trace, sound_trace

    from reports.pages.try_page import write_page
    from tasks.plan import make_cell
    from tasks.processor import ModelOutput

    folder.mkdir()
    picture, sound = folder / "picture.png", folder / "sound.wav"
    Image.new("RGB", (60, 40), (190, 30, 30)).save(picture)
    soundfile.write(sound, np.zeros(8000), 16_000)
    for name, task, given, trace in (
        ("words", "summarization", {"text": "a bridge was built"}, document_trace()),
        ("picture", "captioning", {"picture": str(picture)}, photo_trace()),
        ("sound", "speech", {"sound": str(sound)}, sound_trace()),
    ):
        heads = replace(trace, parts={"head 1": trace.weights})
        output = ModelOutput("what it wrote", heads, {"log_prob": -1.5}, ("an unknown word",))
        write_page(folder / f"{name}.html", make_cell(task, "soft"), given, output)


#: Opens what is folded, and the tools of tables. Of the figures' values, hundreds of equal cells,
#: those of the first.
OPEN = """() => {
  for (const one of document.querySelectorAll('details:not(.values)')) one.open = true;
  for (const one of [...document.querySelectorAll('.values')].slice(0, 1)) one.open = true;
  for (const one of document.querySelectorAll('.opener')) one.click();
}"""
#: What axe finds or, contrast apart, cannot decide: rule, what it asks for, the first elements.
#: Contrast on pictures and on what overlaps is open to it. Style sheets are not loaded once more,
#: which the policy of pages forbids.
FIND = """rules => axe.run({runOnly: rules, preload: false}).then(({violations, incomplete}) =>
  [...violations, ...incomplete.filter(({id}) => id !== 'color-contrast')]
    .map(({id, help, nodes}) => `${id}: ${help}: ` + nodes.slice(0, 4)
      .map(({html, any}) => `${html.slice(0, 160)} (${any.map((one) => one.message)})`)
      .join('; ')))"""


@pytest.fixture
def opened(browser, shown: Path) -> Iterator:
    """Opens a page with everything that opens, and axe; complaints of the browser fail the test."""
    axe = pytest.importorskip("axe_playwright_python.base", reason="axe is not installed")
    complaints: list[str] = []
    contexts = []

    def opened(kind: str, width: int):
        size = {"width": width, "height": 900}
        context = browser.new_context(viewport=size, reduced_motion="reduce")
        contexts.append(context)
        context.set_default_timeout(120_000)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        (file,) = shown.glob(PAGES[kind])
        page.goto(file.as_uri())
        if kind.startswith("explorer"):
            page.wait_for_selector(".attended")
            page.locator(".output label").nth(1).click()
        elif not kind.startswith("try"):
            page.wait_for_selector("html[data-answering]", state="attached")
        if page.locator("figure.chart").count():
            page.wait_for_selector("html[data-drawn]", state="attached")
        page.evaluate(OPEN)
        page.evaluate(axe.AXE_SCRIPT)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.mark.parametrize("kind", PAGES)
def test_axe_finds_nothing(opened, kind: str) -> None:
    page = opened(kind, 390)
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate(FIND, RULES) == [], (width, scheme)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
