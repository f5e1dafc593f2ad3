"""Tables in a real browser: they sort, filter, hide, mark, copy, and are sent by their address."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

PAPER = 688  # pixels between the margins of A4


@pytest.fixture
def opened(browser, site: Path) -> Iterator:
    """Opens a page whose tables answer; whatever the browser complains about fails the test."""
    complaints: list[str] = []
    contexts = []

    def opened(anchor: str = "", width: int = 1280, name: str = "translation.html", **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        context.set_default_timeout(120_000)
        context.route("**/figures.js", lambda route: route.fulfill(body=""))  # not looked at here
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda r: r.url.startswith("file:") or complaints.append(r.url))
        page.goto((site / name).as_uri() + anchor, wait_until="domcontentloaded")
        page.wait_for_selector("html[data-answering]", state="attached")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


class Shown:
    """A table of a page with its tools."""

    def __init__(self, page, name: str) -> None:
        self.page = page
        self.table = page.locator(f"table[data-name='{name}']")
        self.tools = page.locator(".tools", has=page.locator(f"[id='tools-{name}']"))

    def open(self) -> Shown:
        self.tools.locator(".opener").click()
        return self

    def head(self, key: str):
        return self.table.locator(f"th[data-key='{key}']")

    def labels(self) -> list[str]:
        return self.table.evaluate(
            """table => [...table.tBodies[0].rows].filter((row) => !row.hidden)
              .map((row) => row.cells[0].firstChild.textContent)"""
        )

    def values(self, key: str) -> list[float | None]:
        """The figures of a column of the mechanisms, in the order that is shown."""
        return self.table.evaluate(
            """(table, key) => {
              const heads = [...[...table.tHead.rows].at(-1).cells];
              const place = heads.findIndex((one) => one.dataset.key === key);
              return [...table.tBodies[0].rows]
                .filter((row) => !row.hidden && !row.className.includes('apart'))
                .map((row) => (row.cells[place] ?? row.cells[1]).querySelector("data")?.value)
                .map((value) => value === undefined ? null : Number(value));
            }""",
            key,
        )

    def told(self) -> str:
        return self.tools.locator(".told").text_content()

    def field(self, label: str):
        return self.tools.locator("label", has_text=label).locator("input, select").first


METRICS, COST, SCORES = (
    f"translation-synthetic-laptop-{one}" for one in ("metrics", "cost", "scores")
)


def rises(values: list[float | None]) -> bool:
    known = [value for value in values if value is not None]
    return known == sorted(known) and values[: len(known)] == known


def falls(values: list[float | None]) -> bool:
    known = [value for value in values if value is not None]
    return known == sorted(known, reverse=True) and values[: len(known)] == known


def test_a_heading_sorts_by_click_and_key_and_gives_the_order_back(opened):
    page = opened()
    cost = Shown(page, COST)
    before = cost.labels()
    head = cost.head("train_seconds")
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    values = cost.values("train_seconds")
    assert rises(values) and None in values, "what failed is last"
    head.locator("button").press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    again = cost.values("train_seconds")
    assert falls(again) and again[-1] is None, "and last again"
    head.locator("button").press("Space")
    assert head.get_attribute("aria-sort") is None
    assert cost.labels() == before


def test_a_matrix_sorts_what_spans_it_with_the_rest_and_baselines_apart(opened):
    scores = Shown(opened(), SCORES)
    scores.head("dot").locator("button").click()
    assert scores.head("dot").get_attribute("aria-sort") == "descending", "best first"
    assert falls(scores.values("dot"))
    labels = scores.labels()
    assert "none" in labels[: len(scores.values("dot"))]


def test_rows_are_filtered_and_searched(opened):
    page = opened()
    cost = Shown(page, COST).open()
    everything = cost.labels()
    cost.field("attention").select_option("global")
    some = cost.labels()
    assert some and all(one.startswith("global") for one in some) and len(some) < len(everything)
    cost.field("score").select_option("concat")
    assert cost.labels() == ["global + concat"]
    assert f"1 of {len(everything)} rows" in cost.told()
    cost.tools.locator("button", has_text="As it was").click()
    assert cost.labels() == everything
    cost.field("Search").fill("CONCAT hard")
    assert cost.labels() == ["hard + concat"]


def test_columns_are_hidden_with_the_headings_over_them(opened):
    page = opened()
    metrics = Shown(page, METRICS).open()
    wide = metrics.table.evaluate("one => one.offsetWidth")
    heads = metrics.table.locator("thead tr").last.locator("th:visible")
    count = heads.count()
    boxes = metrics.tools.locator("fieldset input")
    boxes.nth(1).uncheck()
    assert heads.count() == count - 1
    assert metrics.table.evaluate("one => one.offsetWidth") < wide
    spans = metrics.table.evaluate(
        """table => [...table.rows].filter((row) => !row.hidden).map((row) =>
          [...row.cells].filter((cell) => !cell.hidden)
            .reduce((sum, cell) => sum + cell.colSpan, 0))"""
    )
    assert set(spans) == {count - 1}


def test_the_slider_marks_what_is_practically_equal_to_the_best(opened):
    page = opened()
    metrics = Shown(page, METRICS).open()
    values = [one for one in metrics.values("bleu") if one is not None]
    slider = metrics.field("Smallest difference")
    assert metrics.table.locator("td.equal").count() == 0
    slider.focus()
    for _ in range(30):
        page.keyboard.press("ArrowRight")
    within = float(page.evaluate("new URLSearchParams(location.hash.slice(1)).get('within')"))
    equal = [one for one in values if max(values) - one <= within * (1 + 1e-9)]
    assert 1 < len(equal) < len(values)
    assert metrics.table.locator("td.equal").count() == len(equal)
    assert metrics.told().startswith(f"{len(equal)} within ")
    assert slider.get_attribute("aria-valuetext") in metrics.told()
    page.keyboard.press("Home")
    assert metrics.table.locator("td.equal").count() == 0


def test_the_cheapest_of_group_one_is_named(opened):
    page = opened()
    cost = Shown(page, COST).open()
    found = cost.table.evaluate(
        """table => {
          const heads = [...[...table.tHead.rows].at(-1).cells];
          const place = heads.findIndex((one) => one.dataset.key === 'train_seconds');
          return [...table.tBodies[0].rows].filter((row) => row.cells[1].dataset.group === '1')
            .map((row) =>
              [Number(row.cells[place].querySelector("data").value),
               row.cells[0].firstChild.textContent]);
        }"""
    )
    assert len(found) > 1
    cost.field("Cheapest within group 1").select_option("train_seconds")
    assert min(found)[1] in cost.told()
    assert cost.table.locator("tr.cheapest th").first.text_content().startswith(min(found)[1])
    assert cost.head("train_seconds").get_attribute("aria-sort") == "ascending"


def test_copies_hold_what_is_shown(opened):
    page = opened()
    cost = Shown(page, COST).open()
    cost.field("attention").select_option("global")
    cost.head("parameters").locator("button").click()

    def copied(kind: str) -> str:
        cost.tools.locator("button", has_text=f"Copy {kind}").click()
        page.wait_for_function(
            "([one, kind]) => one.textContent === `${kind} copied.`",
            arg=[cost.tools.locator(".told").element_handle(), kind],
        )
        return page.evaluate("navigator.clipboard.readText()")

    rows = list(csv.DictReader(io.StringIO(copied("CSV"))))
    assert [row["attention + score"] for row in rows] == cost.labels()
    numbers = [
        None if row["parameters"].startswith("failed") else float(row["parameters"]) for row in rows
    ]
    assert numbers == cost.values("parameters") and numbers[-1] is None
    assert float(rows[0]["bleu_low"]) < float(rows[0]["bleu"]) < float(rows[0]["bleu_high"])
    lines = copied("Markdown").splitlines()
    assert len(lines) == 2 + len(rows) and lines[0].startswith("| attention + score | BLEU |")
    text = copied("LaTeX")
    assert text.count(r" \\") == 1 + len(rows)
    assert r"\toprule" in text and text.count(" & ") == (1 + len(rows)) * 7


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_a_view_is_sent_by_its_address(opened, width, scheme):
    page = opened(width=width, color_scheme=scheme)
    cost, scores = Shown(page, COST).open(), Shown(page, SCORES)
    cost.field("score").select_option("concat")
    cost.field("Cheapest within group 1").select_option("parameters")
    cost.tools.locator("fieldset input").last.uncheck()
    scores.head("concat").locator("button").click()
    cost.tools.locator("button", has_text="Copy link").click()
    page.wait_for_function(
        "one => one.textContent.startsWith('link')",
        arg=cost.tools.locator(".told").element_handle(),
    )
    address = page.evaluate("navigator.clipboard.readText()")
    assert address == page.url
    other = opened("#" + address.split("#", 1)[1], width, color_scheme=scheme)
    there, grid = Shown(other, COST), Shown(other, SCORES)
    assert there.labels() == cost.labels() and len(there.labels()) > 1
    assert there.head("peak_memory_bytes").is_hidden()
    assert there.field("Cheapest within group 1").input_value() == "parameters"
    assert grid.labels() == scores.labels()
    assert grid.head("concat").get_attribute("aria-sort") == "descending"
    assert other.evaluate("document.documentElement.scrollWidth") <= width


def test_an_address_of_no_view_changes_nothing(opened):
    page = opened("#view=nothing&sort=x&is.attention=soft")
    assert Shown(page, COST).labels() == Shown(opened(), COST).labels()


@pytest.mark.parametrize(
    ("width", "scheme"), [(390, "dark"), (390, "light"), (1280, "dark"), (1280, "light")]
)
def test_sections_stand_beside_the_page_or_folded_above_it(opened, width, scheme):
    page = opened(width=width, color_scheme=scheme)
    nav = page.get_by_role("navigation", name="On this page")
    links = nav.locator("a")
    assert nav.locator("details").evaluate("one => one.open") is (width == 1280)
    if width == 390:
        nav.locator("summary").click()
    links.filter(has_text="Cost beside quality").click()
    assert page.url.endswith("-cost")
    assert page.locator("h3[id$='-cost']").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if width == 1280:
        assert nav.is_visible(), "it stays while the page scrolls"


def test_controls_have_names_and_can_be_read(opened):
    page = opened()
    for opener in page.locator(".opener").all():
        opener.click()
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('.tools :is(input,select,button), button.sort')]
          .filter((one) => !(one.labels?.[0]?.textContent.trim() || one.textContent.trim()))
          .map((one) => one.outerHTML)"""
    )
    assert nameless == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_without_scripts_tables_are_as_written(browser, site):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site / "translation.html").as_uri())
    assert page.locator(".tools, .side, button.sort").count() == 0
    assert page.locator("nav.parts").first.is_visible()
    context.close()


def test_no_table_is_wider_than_paper(opened):
    page = opened(width=PAPER)
    page.emulate_media(media="print")
    wide = page.evaluate(
        """paper => [...document.querySelectorAll('table')]
          .filter((one) => one.getBoundingClientRect().right > paper)
          .map((one) => `${one.dataset.name}: ${one.offsetWidth}`)""",
        PAPER,
    )
    assert wide == []
    assert page.locator(".tools:visible, .side:visible").count() == 0


def test_the_front_page_answers_on_one_screen(opened):
    page = opened(name="index.html")
    assert page.locator("h1 + .lead").text_content().startswith("In this setting, ")
    table = page.locator("table[data-name='overview'] tbody tr").first.bounding_box()
    assert table["y"] < 500
    assert all(one.locator("li").count() <= 3 for one in page.locator("article.card").all()), (
        "three sentences a task"
    )
