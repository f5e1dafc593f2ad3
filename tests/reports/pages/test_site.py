"""The pages as text: escaped, linked, self-contained, well-formed."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from defusedxml import ElementTree
from made_up import MECHANISMS

from bench.store.cell import Cell
from bench.store.store import Store
from reports.pages.report import build_report
from reports.pages.site import write_report

VOID = {"meta", "link", "br", "wbr", "img", "input", "hr", "path", "rect", "circle"}
SCRIPT = "<script>alert(1)</script>"
EXPLORER = "attention-translation-synthetic-laptop.html"


class Page(HTMLParser):
    """Reads a page, and what is wrong with it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.errors: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.labels: list[str] = []
        self.headings: list[int] = []
        self.scripts = 0
        self.handlers: list[str] = []
        self.feed(text)
        self.close()
        if self.stack:
            self.errors.append(f"never closed: {self.stack}")

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        if len(named) < len(attrs):
            self.errors.append(f"an attribute twice in <{tag}>")
        if tag not in VOID:
            self.stack.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        self.labels += [value for name, value in attrs if name == "aria-labelledby"]
        self.links += [value for name, value in attrs if name in ("href", "src")]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self.scripts += tag == "script" and named.get("type") != "application/json"
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.stack.pop()

    def handle_endtag(self, tag):
        if tag in VOID:  # SVG shapes may hold a title
            return
        if not self.stack or self.stack.pop() != tag:
            self.errors.append(f"</{tag}> closes something else, line {self.getpos()}")


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    return {path.name: Page(path.read_text("utf-8")) for path in site.glob("*.html")}


def test_there_is_an_overview_and_a_page_per_task(pages):
    whole = {name for name in pages if not name.startswith("cell-")}
    assert whole == {"index.html", "translation.html", "comparisons.html", "files.html", EXPLORER}


def test_there_is_a_page_for_whatever_finished(pages, report):
    (section,) = report.sections
    finished = [one for one in section.analysis.frame.contenders if one.done]
    assert len([name for name in pages if name.startswith("cell-")]) == len(finished) == 13
    linked = {link for link in pages["index.html"].links if link.startswith("cell-")}
    assert linked == {link for link in linked if link in pages}
    assert len(linked) == 10  # every attention's best


def test_pages_are_well_formed(pages):
    for name, page in pages.items():
        assert page.errors == [], name
        assert len(page.ids) == len(set(page.ids)), name
        assert set(page.labels) <= set(page.ids), name


def test_headings_go_down_one_level_at_a_time(pages):
    for name, page in pages.items():
        assert page.headings[0] == 1, name
        assert page.headings.count(1) == 1, name
        steps = zip(page.headings, page.headings[1:], strict=False)
        assert all(after - before <= 1 for before, after in steps), name


def check_landmarks(text: str) -> None:
    """Regions are told apart by their names (axe: landmark-unique)."""
    regions = re.findall(r'role="region" aria-label="([^"]*)"', text)
    sections = re.findall(r'<section aria-labelledby="([^"]*)"', text)
    titles = [re.search(rf'id="{re.escape(one)}">(.*?)</h', text)[1] for one in sections]
    names = [*regions, *titles]
    assert len(names) == len(set(names)), sorted(names)


def test_landmarks_have_names_of_their_own(site):
    for path in site.glob("*.html"):
        check_landmarks(path.read_text("utf-8"))


def test_every_link_leads_somewhere_on_this_disk(pages, site):
    check_links(pages, site)


def check_links(pages: dict[str, Page], site: Path) -> None:
    for name, page in pages.items():
        for link in page.links:
            target, _, anchor = link.partition("#")
            assert "://" not in link, (name, link)
            assert not link.startswith("//"), (name, link)
            if target:
                assert (site / target).exists(), (name, link)
            if anchor and not anchor.startswith("example="):  # a view of the explorer
                assert anchor in pages[target or name].ids, (name, link)


def test_a_task_with_several_settings_has_a_page_for_each(
    made, catalogue, tmp_path_factory: pytest.TempPathFactory
):
    folder = tmp_path_factory.mktemp("settings")
    maker = type(made)(Store.open(folder / "store", create=True), examples=20)
    for noise in (0, 0.2):
        for mechanism in MECHANISMS[:3]:
            maker.add(mechanism, 1, options={"noise": noise} if noise else {})
    write_report(build_report(maker.store, catalogue=catalogue), folder / "report")
    texts = {path.name: path.read_text("utf-8") for path in (folder / "report").glob("*.html")}
    pages = {name: Page(text) for name, text in texts.items()}
    check_links(pages, folder / "report")
    whole = [name for name in pages if not name.startswith(("cell-", "attention-"))]
    own = {"translation-synthetic-laptop.html", "translation-synthetic-noise-0-2-laptop.html"}
    others = {"index.html", "translation.html", "comparisons.html", "files.html"}
    assert set(whole) == {*others, *own}
    for name, page in pages.items():
        assert page.errors == [], name
        assert len(page.ids) == len(set(page.ids)), name
        check_landmarks(texts[name])
    for name in own:
        assert name in pages["translation.html"].links
        assert name in pages["index.html"].links
        assert "Training</h3>" in texts[name]
        assert "Training</h3>" not in texts["translation.html"]
        back = {page for page, one in pages.items() if page.startswith("cell-")} & {
            page for page, one in pages.items() if name in one.links
        }
        assert len(back) == 3


def test_nothing_is_loaded_from_a_network(site):
    for path in site.glob("*.html"):
        text = path.read_text("utf-8")
        assert not re.findall(r"""(?:src|href|url\(|@import)\s*=?\s*["'(]?https?:""", text)
        assert "default-src &#39;none&#39;" in text


def test_all_pages_have_one_policy_and_load_scripts_by_their_own(site):
    policies = set()
    for path in site.glob("*.html"):
        text = path.read_text("utf-8")
        assert "<script src" not in text, path.name
        policies.add(re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1])
    (policy,) = map(unescape, policies)
    scripts = policy.split("script-src")[1].split(";")[0]
    assert "strict-dynamic" in scripts and "unsafe" not in scripts
    assert "unsafe-eval" not in policy and "connect-src" not in policy
    own = text.split("<script>")[1].split("</script>")[0]
    for name in re.findall(r'"(\w+\.js)"', own):
        assert (site / name).exists(), name


def test_only_our_own_script_may_run(pages, site):
    import base64
    import hashlib

    for name, page in pages.items():
        assert page.scripts == 1, name
        assert page.handlers == [], name
        text = (site / name).read_text("utf-8")
        script = text.split("<script>")[1].split("</script>")[0]
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"sha256-{digest}" in text


def test_all_pages_link_the_one_style(site):
    for path in site.glob("*.html"):
        text = path.read_text("utf-8")
        assert text.count('<link rel="stylesheet" href="site.css">') == 1, path.name
        assert "style-src &#39;self&#39; file:" in text, path.name
    style = (site / "site.css").read_text("utf-8")
    assert "--ink:" in style and "@media print" in style


def test_pages_stay_small(site):
    for path in site.glob("*.html"):
        explorer = path.name.startswith("attention-")
        assert path.stat().st_size < (40_000 if explorer else 300_000), path.name


def test_missing_figures_are_named_on_the_page(site):
    text = (site / "translation.html").read_text("utf-8")
    assert "not run" in text
    assert "not applicable: self takes all steps at once" in text
    assert "failed: diverged: the training loss was nan by step 60" in text


def test_everything_is_there_in_other_forms(site, report):
    names = {str(path.relative_to(site)) for path in site.rglob("*") if path.is_file()}
    (section,) = report.sections
    for table in [report.overview, report.failures, *section.tables]:
        assert {f"tables/{table.name}.csv", f"tables/{table.name}.tex"} <= names
    for figure in section.figures:
        assert f"figures/{figure.name}.csv" in names
    assert "figures.js" in names
    assert not [name for name in names if name.endswith((".svg", ".pdf"))], "nobody asked for them"
    assert "report.md" in names
    assert "tables/results.csv" in names


def test_one_page_links_all_files(site):
    names = {
        str(path.relative_to(site))
        for folder in ("tables", "figures")
        for path in (site / folder).iterdir()
    }
    text = (site / "files.html").read_text("utf-8")
    assert set(re.findall(r'href="((?:tables|figures)/[^"]+)"', text)) == names
    for page in site.glob("*.html"):
        assert 'href="files.html"' in page.read_text("utf-8"), page.name


def test_the_same_results_make_the_same_report(site, store, catalogue, tmp_path):
    write_report(build_report(store, catalogue=catalogue), tmp_path)
    for path in sorted(site.rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / path.relative_to(site)).read_bytes(), path


@pytest.mark.parametrize(("unusable", "opened"), [(3, True), (4, False)])
def test_many_unusable_records_are_folded_and_all_are_there(
    made, catalogue, tmp_path, unusable, opened
):
    store = Store.open(tmp_path / "store", create=True)
    result = next(one for one in made.store.results() if one.cell_json["attention"] == "soft")
    store.put(result, made.store.predictions(result.hash))
    for number in range(unusable):
        (tmp_path / "store" / "trials" / f"{number:064}.json").write_text("{}")
    write_report(build_report(store, catalogue=catalogue), tmp_path / "out")
    text = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert f"{unusable} records of this store could not be used" in text
    assert all(f"{number:064}" in text for number in range(unusable))
    assert ("<details open>" in text) == opened and not Page(text).errors


def test_a_report_of_less_leaves_no_page_of_the_one_before(report, made, catalogue, tmp_path):
    store = Store.open(tmp_path / "store", create=True)
    result = next(one for one in made.store.results() if one.cell_json["attention"] == "soft")
    store.put(result, made.store.predictions(result.hash))
    less = build_report(store, catalogue=catalogue)
    write_report(report, tmp_path / "again")
    write_report(less, tmp_path / "again")
    write_report(less, tmp_path / "fresh")
    left, fresh = (
        {path.relative_to(tmp_path / name) for path in (tmp_path / name).rglob("*")}
        for name in ("again", "fresh")
    )
    assert left == fresh and len([path for path in left if path.name.startswith("cell-")]) == 1


@pytest.fixture(scope="module")
def hostile(made, catalogue, tmp_path_factory) -> Path:
    """A report on results whose every text is markup."""
    folder = tmp_path_factory.mktemp("hostile")
    store = Store.open(folder / "store", create=True)
    result = next(one for one in made.store.results() if one.cell_json["attention"] == "soft")
    cell = Cell("translation", SCRIPT, "soft", "concat", options={"x": f'"{SCRIPT}'})
    marked = result.model_copy(
        update={
            "hash": cell.hash,
            "cell_json": cell.to_json(),
            "metrics": {**result.metrics, SCRIPT: 1.0},
            "provenance": result.provenance.model_copy(
                update={"device": SCRIPT, "study": SCRIPT, "notes": (SCRIPT,)}
            ),
        }
    )
    predictions = [
        {**row, "source": SCRIPT, "prediction": SCRIPT + "\x00\x1b", "references": [SCRIPT]}
        for row in made.store.predictions(result.hash)
    ]
    traces = [
        {
            **row,
            "source": [SCRIPT, *row["source"][1:]],
            "target": ['"><img src=x onerror=alert(1)>', *row["target"][1:]],
        }
        for row in made.store.traces(result.hash)
    ]
    store.put(marked, predictions, traces)
    failing = Cell("../../climb", "synthetic", "soft", SCRIPT)
    made_there = type(made)(store, examples=2)
    made_there.fail(failing, SCRIPT, f"</style>{SCRIPT}")
    report = build_report(store, catalogue=catalogue)
    write_report(report, folder / "out" / "report", ("svg", "pdf"))
    return folder / "out" / "report"


def test_markup_in_data_stays_text(hostile):
    for path in hostile.glob("*.html"):
        text = path.read_text("utf-8")
        page = Page(text)
        assert page.errors == []
        assert page.scripts == 1
        assert page.handlers == []
        assert "alert(1)" in text or path.name == "files.html"  # which has names of files alone
        assert SCRIPT not in text
        assert "\x00" not in text


def test_names_never_climb_out_of_the_folder(hostile):
    written = list(hostile.parent.parent.rglob("*.html"))
    assert {path.parent for path in written} == {hostile}
    assert (hostile / "climb.html").exists()


def test_markup_in_data_stays_text_in_other_forms(hostile):
    assert SCRIPT not in (hostile / "report.md").read_text("utf-8")
    for path in (hostile / "figures").glob("*.svg"):
        assert SCRIPT not in path.read_text("utf-8")
    assert list((hostile / "figures").glob("*.svg"))


def test_figures_are_written_where_they_are_asked_for(hostile):
    names = {path.stem for path in (hostile / "figures").iterdir()}
    for name in names:
        root = ElementTree.fromstring((hostile / "figures" / f"{name}.svg").read_text("utf-8"))
        assert root.tag.endswith("svg")
        assert not [node for node in root.iter() if node.tag.endswith("script")]
        assert (hostile / "figures" / f"{name}.pdf").read_bytes().startswith(b"%PDF-")
    text = (hostile / "report.md").read_text("utf-8")
    assert any(f"](figures/{name}.svg)" in text for name in names)
    pages = " ".join(path.read_text("utf-8") for path in hostile.glob("*.html"))
    linked = re.findall(r'<a href="figures/([^"]+)\.pdf">PDF</a>', pages)
    assert linked and set(linked) <= names
