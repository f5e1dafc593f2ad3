"""The attention explorer in a real browser: choosing, comparing, sending views; without errors."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytestmark = pytest.mark.browser

WORDS, PHOTO, SOUND, TEXT = (
    f"attention-{task}-synthetic-laptop.html"
    for task in ("translation", "captioning", "speech", "summarization")
)


@pytest.fixture(scope="module")
def looked_at(tmp_path_factory, site: Path) -> Path:
    """A report on words, photos, sounds and documents."""
    from sample_results import put_traced_tasks

    from bench.store.store import Store
    from reports.pages.report import build_report
    from reports.pages.site import write_report

    folder = tmp_path_factory.mktemp("looked-at")
    store = Store.open(folder / "store", create=True)
    put_traced_tasks(store)
    write_report(build_report(store), folder / "report")
    shutil.copy(site / WORDS, folder / "report")
    shutil.copytree(site / "attention", folder / "report" / "attention", dirs_exist_ok=True)
    return folder / "report"


@pytest.fixture
def opened(browser, looked_at: Path) -> Iterator:
    """Opens a view; the browser's complaints, and requests for what is no file, fail the test."""
    complaints: list[str] = []
    contexts = []

    def opened(name: str, width: int = 1280, scheme: str = "light", **options):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, **options
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request", lambda r: r.url.startswith(("file:", "blob:")) or complaints.append(r.url)
        )
        page.goto(f"{looked_at.as_uri()}/{name}")
        if options.get("java_script_enabled", True):
            page.wait_for_selector(".attended")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def described(page, panel: int = 0) -> str:
    return page.locator(".readout").nth(panel).text_content()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", [WORDS, PHOTO, SOUND, TEXT])
def test_views_fit_every_screen(opened, name, width, scheme):
    page = opened(name, width, scheme)
    for view in ("all", "one"):
        page.locator("[name=view]").select_option(view)
        page.locator(".output label").nth(1).click()
        assert page.locator(".weights tbody tr").count() >= 2
        assert page.locator(".drawing").first.locator("svg, .reading-text").is_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_only_the_chosen_example_is_loaded(opened):
    page = opened(WORDS)
    assert page.evaluate("Object.keys(attentionData).length") == 1
    second = page.locator("[name=example] option").nth(1).get_attribute("value")
    page.locator("[name=example]").select_option(second)
    page.wait_for_function("() => Object.keys(attentionData).length === 2")
    page.wait_for_function(f"() => location.hash.includes(encodeURIComponent('{second}'))")


def test_the_same_unit_lights_up_in_all_panels(opened):
    page = opened(WORDS)
    assert page.locator(".attended").count() == 2
    word = page.locator(".output").first.locator("span").nth(2).text_content()
    page.locator(".drawing").first.locator(".row").nth(2).hover()
    assert described(page).startswith(f"{word} ← ") or described(page).startswith(f"{word}: ")
    assert described(page, 1).startswith(f"{word}: ")
    assert page.locator(".row.active").count() == 2
    page.mouse.move(0, 0)
    assert page.locator(".row.active").count() == 0
    assert "In full colour" in described(page)


def test_lit_source_words_are_those_with_the_weight(opened):
    page = opened(WORDS)
    page.locator(".output label").nth(1).click()
    strongest = described(page).split(": ", 1)[1].split("; ")[0].rsplit(" ", 1)[0]
    assert strongest in page.locator(".drawing").first.locator(".lit").all_text_contents()


def test_keys_do_what_the_pointer_does(opened):
    page = opened(WORDS)
    words = page.locator(".output").first.locator("span").all_text_contents()
    page.locator(".output input").first.focus()
    page.keyboard.press("Space")
    assert described(page).startswith(f"{words[0]}: ")
    page.keyboard.press("ArrowRight")
    assert described(page).startswith(f"{words[1]}: ")
    assert page.locator(".weights h2").text_content() == f"Largest weights of “{words[1]}”"
    page.keyboard.press("Escape")
    assert page.locator(".weights h2").count() == 0


def test_the_table_has_the_weights_of_the_chosen_unit(opened):
    page = opened(WORDS)
    page.locator(".output label").nth(1).click()
    heads = page.locator(".weights th[scope=col]").all_text_contents()
    assert heads[0] == "source" and heads[-1] == "gold" and len(heads) == 4
    rows = page.locator(".weights tbody tr")
    cells = [row.locator("td").all_text_contents() for row in rows.all()]
    assert 0.9 < sum(float(one[0]) for one in cells) < 1.01
    assert sum(one[-1] == "yes" for one in cells) >= 1


def test_a_view_is_a_link(opened, browser):
    page = opened(WORDS)
    page.locator("[name=add]").click()
    third = page.locator(".attended").nth(2)
    third.locator("[name=mechanism]").select_option("soft + concat")
    third.locator("[name=mode]").select_option("forced")
    page.locator("[name=gold]").uncheck()
    page.locator(".output label").nth(3).click()
    link = page.locator(".here").get_attribute("href")
    assert page.url.endswith(link)
    again = opened(WORDS + link)
    for what in (".attended h2", ".readout", ".weights"):
        shown = again.locator(what).all_text_contents()
        assert shown == page.locator(what).all_text_contents()
    assert (
        "soft + concat, reading the reference" in again.locator(".attended h2").all_text_contents()
    )
    assert not again.locator("[name=gold]").is_checked()
    assert again.locator(".gold").first.is_hidden()


@pytest.mark.parametrize(
    "hash", ["#example=no/such&panel=x", "#example=", "#panel=a;b;c&unit=99&view=7", "#%E0%A4%A"]
)
def test_a_link_that_says_nothing_useful_shows_the_first_view(opened, hash):
    page = opened(WORDS + hash)
    assert page.locator(".attended").count() == 2
    assert page.locator(".drawing svg").count() == 2


def test_panels_come_and_go(opened):
    page = opened(WORDS)
    page.locator("[name=remove]").first.click()
    assert page.locator(".attended").count() == 1
    assert page.locator("[name=remove]").first.is_hidden()
    page.locator("[name=add]").click()
    page.locator("[name=add]").click()
    names = page.locator(".attended [name=mechanism]").evaluate_all(
        "all => all.map((one) => one.value)"
    )
    assert len(set(names)) == 3


def test_words_of_a_photo_are_veiled_where_they_do_not_look(opened):
    page = opened(PHOTO)
    assert page.locator(".drawing svg text").first.text_content() == "the picture"
    page.locator("[name=view]").select_option("one")
    page.locator(".output label").nth(2).click()
    opacities = page.locator(".veil").evaluate_all(
        "all => all.map((one) => +one.getAttribute('fill-opacity'))"
    )
    assert len(opacities) == 36 and min(opacities) == 0 and max(opacities) > 0.75
    assert page.locator(".gold-line").count() == 1
    assert "on gold" in described(page)
    loaded = page.evaluate(
        """async () => {
          const picture = new Image();
          picture.src = document.querySelector('.drawing image').getAttribute('href');
          await picture.decode();
          return picture.naturalWidth;
        }"""
    )
    assert loaded == 48


def test_a_sound_is_played_where_a_unit_listened(opened):
    page = opened(SOUND)
    page.locator(".output label").nth(3).click()  # "aa", from 0.36 to 0.52 s
    marker = page.locator(".peak").first.get_attribute("d")
    assert marker.startswith("M")
    page.locator("[name=play]").first.click()
    page.wait_for_function("() => document.querySelector('audio').currentTime > 0.36", timeout=5000)
    assert page.locator(".playhead").first.get_attribute("d").startswith("M")
    page.wait_for_function("() => document.querySelector('audio').paused", timeout=5000)
    audio = page.evaluate(
        "(({duration, currentTime}) => [duration, currentTime])(document.querySelector('audio'))"
    )
    assert audio[0] == pytest.approx(0.64, abs=0.01) and 0.45 < audio[1] <= 0.64


def test_a_text_is_shaded_by_the_chosen_word(opened):
    page = opened(TEXT)
    page.locator("[name=view]").select_option("one")
    assert page.locator(".reading-text p").count() == 2  # sentences
    page.locator(".output label").nth(0).click()
    shades = page.locator(".word").evaluate_all(
        "all => all.map((one) => +one.style.getPropertyValue('--v'))"
    )
    words = page.locator(".word").all_text_contents()
    assert words[shades.index(max(shades))] == "bridge"
    assert page.locator(".word.linked").all_text_contents() == ["bridge"]


@pytest.mark.parametrize("view", ["all", "one"])
@pytest.mark.parametrize("name", [WORDS, PHOTO, SOUND, TEXT])
def test_a_view_is_saved_as_svg(opened, tmp_path, name, view):
    page = opened(name, scheme="dark")
    page.locator("[name=view]").select_option(view)
    page.locator(".output label").nth(1).click()
    with page.expect_download() as download:
        page.locator("[name=save]").click()
    download.value.save_as(tmp_path / "view.svg")
    root = ElementTree.parse(tmp_path / "view.svg").getroot()
    text = (tmp_path / "view.svg").read_text("utf-8")
    assert "var(--" not in text and "class=" not in text
    drawings = root.findall("{http://www.w3.org/2000/svg}svg")
    assert len(drawings) == page.locator(".attended").count()
    ink = "rgb(22, 25, 29)"  # that of paper, whatever the page's theme is
    assert f'fill="{ink}"' in text or view == "one"
    assert page.evaluate("'theme' in document.documentElement.dataset") is False


def test_paper_has_the_chosen_view(opened):
    page = opened(WORDS, scheme="dark")
    page.locator(".output label").nth(1).click()
    page.emulate_media(media="print")
    assert page.locator(".drawing svg").first.is_visible()
    assert page.locator(".weights table").is_visible()
    assert page.locator("[name=save]").is_hidden()


def test_everything_that_takes_the_focus_has_a_name(opened):
    page = opened(SOUND)
    page.locator(".output label").nth(1).click()
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('a,button,select,input,audio,[tabindex="0"]')]
          .filter((one) => !one.closest('[hidden]'))
          .filter((one) => !(one.getAttribute('aria-label') || one.textContent.trim()
            || one.labels?.[0]?.textContent.trim()))
          .map((one) => one.outerHTML.slice(0, 80))"""
    )
    assert nameless == []


def test_without_scripts_the_page_says_what_to_do(opened):
    page = opened(WORDS, java_script_enabled=False)
    assert "scripts are switched off" in page.locator("noscript").inner_text()
    assert page.locator("form.explorer").is_hidden()
