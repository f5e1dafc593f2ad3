"""The site in a real browser: no error, no sideways scrolling, weights on hovering and by key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser


@pytest.fixture
def opened(browser, site: Path) -> Iterator:
    """Opens a page; whatever the browser complains about fails the test."""
    complaints: list[str] = []
    contexts = []

    def opened(name: str, width: int = 1280, **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda r: r.url.startswith("file:") or complaints.append(r.url))
        page.goto(f"{site.as_uri()}/{name}")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.mark.parametrize("width", [360, 390, 768, 1280])
@pytest.mark.parametrize("name", ["index.html", "translation.html"])
def test_pages_never_scroll_sideways(opened, name, width):
    page = opened(name, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_first_column_stays_while_a_table_scrolls(opened):
    page = opened("translation.html", 390)
    table = page.locator(".scroll").first
    before = table.locator("tbody th").first.bounding_box()["x"]
    table.evaluate("box => { box.scrollLeft = 200 }")
    assert table.evaluate("box => box.scrollLeft") == 200
    assert table.locator("tbody th").first.bounding_box()["x"] == before


def test_without_scripts_everything_is_still_there(opened):
    page = opened("translation.html", java_script_enabled=False)
    assert page.locator(".exhibit dd").first.text_content()
    assert page.locator("button.theme").is_hidden()
    assert page.locator("table").first.is_visible()


def test_dark_and_light_follow_the_reader(opened):
    ground = "getComputedStyle(document.body).backgroundColor"
    light = opened("index.html", color_scheme="light").evaluate(ground)
    page = opened("index.html", color_scheme="dark")
    dark = page.evaluate(ground)
    assert light != dark
    button = page.locator("button.theme")
    button.click()
    assert page.evaluate(ground) == light
    page.reload()
    assert page.evaluate(ground) == light
    assert "light" in button.text_content()
    button.click()
    assert page.evaluate(ground) == dark


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_figures_in_coloured_cells_can_be_read(opened, scheme):
    """The colours that the browser mixes, not those the palette promises."""
    page = opened("translation.html", color_scheme=scheme)
    ratios = page.evaluate(
        """() => {
          const canvas = document.createElement('canvas');
          const paint = canvas.getContext('2d', {willReadFrequently: true});
          const rgb = (colour) => {
            paint.fillStyle = colour; paint.fillRect(0, 0, 1, 1);
            return [...paint.getImageData(0, 0, 1, 1).data].slice(0, 3);
          };
          const luminance = (colour) => rgb(colour).map((c) => c / 255)
            .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
            .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
          return [...document.querySelectorAll('td.heat')].flatMap((cell) =>
            [...cell.querySelectorAll('data, td small')].map((text) => {
              const a = luminance(getComputedStyle(cell).backgroundColor);
              const b = luminance(getComputedStyle(text).color);
              return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
            }));
        }"""
    )
    assert len(ratios) > 20
    assert min(ratios) >= 4.5


def test_everything_that_takes_the_focus_has_a_name(opened):
    page = opened("translation.html")
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('a,button,summary,[tabindex="0"]')]
          .filter((one) => !(one.getAttribute('aria-label') || one.textContent.trim()))
          .map((one) => one.outerHTML.slice(0, 80))"""
    )
    assert nameless == []


def test_paper_shows_what_is_folded(opened):
    page = opened("translation.html", color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("main details:not([open], .vega-embed details)").count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("main details[open]:not(.vega-embed details)").count() == 0


@pytest.fixture
def charts(opened):
    """Opens a page and waits for its figures."""

    def charts(name: str, width: int = 1280, **options):
        page = opened(name, width, **options)
        page.wait_for_selector("html[data-drawn]", state="attached")
        return page

    return charts


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_figures_are_drawn_under_the_content_policy(charts, width, scheme):
    page = charts("translation.html", width, color_scheme=scheme)
    drawn = page.locator("figure.chart .plot svg.marks")
    assert drawn.count() == page.locator("figure.chart").count() >= 4
    for one in drawn.all():
        box = one.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width and box["height"] > 100
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    line = page.locator("figure.chart path[stroke='var(--series-0)']").first
    wanted = {"light": "rgb(0, 103, 184)", "dark": "rgb(92, 179, 255)"}[scheme]
    assert line.evaluate("one => getComputedStyle(one).stroke") == wanted


def test_a_click_in_the_legend_hides_a_series_and_another_shows_it(charts):
    page = charts("translation.html")
    figure = page.locator("figure.chart").first
    button = figure.locator(".legend button", has_text="concat")
    own = figure.locator(".plot path[stroke='var(--series-3)']")
    before = own.count()
    assert before > 0
    button.click()
    page.wait_for_function(
        "one => !one.querySelector(\".plot path[stroke='var(--series-3)']\")",
        arg=figure.element_handle(),
    )
    assert button.get_attribute("aria-pressed") == "false"
    button.press("Enter")
    page.wait_for_function(
        "([one, count]) => one.querySelectorAll(\".plot path[stroke='var(--series-3)']\").length"
        " === count",
        arg=[figure.element_handle(), before],
    )
    assert button.get_attribute("aria-pressed") == "true"


def test_figures_tell_their_values_and_are_saved_in_light_colours(charts):
    page = charts("translation.html", color_scheme="dark")
    figure = page.locator("figure.chart").first
    figure.locator("summary", has_text="The values drawn").click()
    rows = figure.locator(".values tbody tr")
    rows.nth(20).wait_for()
    heads = figure.locator(".values thead th").all_text_contents()
    assert {"panel", "series", "mechanism", "seed", "value"} <= set(heads)
    figure.locator(".plot summary").click()
    with page.expect_download() as saved:
        figure.locator(".vega-actions a", has_text="SVG").press("Enter")
    text = Path(saved.value.path()).read_text("utf-8")
    assert saved.value.suggested_filename == "translation-synthetic-laptop-by-length.svg"
    assert "var(--" not in text and "#0067b8" in text


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_reader_sorts_filters_copies_sends_toggles_and_looks(charts, width, scheme):
    page = charts("translation.html", width, color_scheme=scheme)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.wait_for_selector("html[data-answering]", state="attached")
    name = "translation-synthetic-laptop-cost"
    rows = f"table[data-name='{name}'] tbody tr:visible th"
    sorted_head = f"table[data-name='{name}'] th[data-key='parameters']"
    tools = page.locator(".tools", has=page.locator(f"[id='tools-{name}']"))

    page.locator(f"{sorted_head} button").click()
    assert page.locator(sorted_head).get_attribute("aria-sort") == "ascending"
    tools.locator(".opener").click()
    tools.locator("label", has_text="score").locator("select").first.select_option("concat")
    shown = page.locator(rows).all_text_contents()
    assert shown[0].startswith("soft + concat") and 3 < len(shown) < 7
    assert all("concat" in one for one in shown)

    def copied(kind: str) -> str:
        tools.locator("button", has_text=f"Copy {kind}").click()
        tools.locator(".told", has_text=re.compile(f"^{kind}.* copied")).wait_for()
        return page.evaluate("navigator.clipboard.readText()")

    lines = copied("CSV").splitlines()
    assert [line.split(",")[0] in one for line, one in zip(lines[1:], shown, strict=True)]
    sent = charts("translation.html#" + copied("link").split("#")[1], width, color_scheme=scheme)
    sent.wait_for_selector("html[data-answering]", state="attached")
    assert sent.locator(rows).all_text_contents() == shown
    assert sent.locator(sorted_head).get_attribute("aria-sort") == "ascending"

    figure = page.locator("figure.chart").first
    line = figure.locator(".plot path[stroke='var(--series-3)']")
    assert line.count() > 0
    figure.locator(".legend button", has_text="concat").click()
    line.first.wait_for(state="detached")
    page.get_by_role("link", name="Open the attention explorer").first.click()
    page.locator(".output label").nth(1).click()
    assert page.locator(".weights tbody tr").count() >= 2
    for one in (page, sent):
        assert one.evaluate("document.documentElement.scrollWidth") <= width


@pytest.fixture(scope="module")
def looked_at(tmp_path_factory) -> Path:
    """A report on photos, sounds and documents, with the papers' page."""
    from sample_results import put_entailment, put_traced_tasks

    from bench.store.store import Store
    from reports.pages.report import build_report
    from reports.pages.site import write_report

    folder = tmp_path_factory.mktemp("looked-at")
    store = Store.open(folder / "store", create=True)
    put_entailment(store)
    put_traced_tasks(store)
    write_report(build_report(store), folder / "report")
    return folder / "report"


@pytest.fixture(scope="module")
def tuned(tmp_path_factory) -> Path:
    """A report on the search for the settings of six mechanisms."""
    from sample_results import put_entailment
    from searched import MECHANISMS, put_search

    from bench.store.store import Store
    from reports.pages.report import build_report
    from reports.pages.site import write_report
    from tasks.plan import make_cell

    folder = tmp_path_factory.mktemp("tuned")
    store = Store.open(folder / "store", create=True)
    put_entailment(store)
    cells = [make_cell("translation", *names) for names in MECHANISMS]
    put_search(store, cells, early_stopping=True)
    write_report(build_report(store), folder / "report")
    return folder / "report"


@pytest.fixture
def seen(browser, looked_at: Path) -> Iterator:
    complaints: list[str] = []
    contexts = []

    def seen(name: str, width: int = 1280, scheme: str = "light"):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto((looked_at / name).as_uri())
        return page

    yield seen
    for context in contexts:
        context.close()
    assert complaints == []


PAGES = ["captioning.html", "speech.html", "entailment.html", "summarization.html"]


@pytest.mark.parametrize("name", [*PAGES, "replication.html", "index.html"])
def test_pages_of_other_tasks_fit_a_phone(seen, name):
    page = seen(name, 390, "dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_every_mechanism_is_one_click_away(seen):
    page = seen("entailment.html")
    page.locator("table").first.locator("td a").first.click()
    assert page.locator("h1").text_content() in ("none", "soft + concat", "global + dot")
    page.locator(".back a").click()
    assert page.url.split("#")[0].endswith("entailment.html")


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_on_tuning_is_read_on_any_screen(browser, tuned, width, scheme):
    complaints: list[str] = []
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda r: r.url.startswith("file:") or complaints.append(r.url))
    page.goto((tuned / "index.html").as_uri())
    page.locator("header a", has_text="Tuning").click()
    assert page.locator("header a[aria-current=page]").text_content() == "Tuning"
    page.locator("section > details > summary").nth(1).click()
    assert page.locator("section > details[open] td", has_text="winner").count() == 1
    assert page.locator("section > details[open] td", has_text="stopped early").count() == 2
    page.wait_for_selector("html[data-drawn]", state="attached")
    assert page.locator("figure .plot svg.marks").count() == 2
    for drawing in page.locator("figure .plot svg.marks").all():
        box = drawing.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width and box["height"] > 60
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()
    assert complaints == []
