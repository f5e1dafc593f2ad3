"""The site: self-contained pages that open from the file system, without any network.

Style and script stand in every page; a content policy lets nothing else run or load, so that a
script in somebody's sentence stays a text even if an escape were forgotten.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from reports import formats
from reports.figures.drawing import Drawing, css_variables
from reports.figures.svg import clean, definitions, inline
from reports.load import Setting, slug
from reports.pages.report import Report, Section
from reports.replication.verdicts import command, summary_table, tables_of
from reports.tables import Label, Missing, Number
from reports.tables.overview import facts, page_of

#: File name of the page on papers.
REPLICATION = "replication.html"
_PACKAGE = Path(__file__).parent.parent


def pages(report: Report) -> dict[str, str]:
    """HTML by file name: the overview, a page per task and mechanism, and one on the papers. A task
    with several settings has a page for each of them, so that pages stay small."""
    environment = _environment(report)
    index = environment.get_template("index.html.j2")
    found = {"index.html": index.render(facts=facts(report.collection), here="index.html")}
    task_page = environment.get_template("task.html.j2")
    setting_page = environment.get_template("setting.html.j2")
    for name in report.collection.tasks:
        sections, task, here = report.of_task(name), report.catalogue.task(name), page_of(name)
        several = len(sections) > 1
        pictures = "" if several else definitions(_maps(sections[0]))
        found[here] = task_page.render(task=task, sections=sections, here=here, pictures=pictures)
        for section in sections if several else ():
            found[place_of(section.setting, report)] = setting_page.render(
                task=task, section=section, here=here, pictures=definitions(_maps(section))
            )
    cell = environment.get_template("cell.html.j2")
    for section in report.sections:
        for one in section.cells:
            found[one.href] = cell.render(
                cell=one,
                headline=section.analysis.frame.headline,
                here=page_of(section.setting.task),
                pictures=definitions(one.drawings),
            )
    if report.replications:
        found[REPLICATION] = environment.get_template("replication.html.j2").render(
            summary=summary_table(report.replications, report.collection.address),
            replications=[(one, tables_of(one)) for one in report.replications],
            here=REPLICATION,
        )
    return {name: clean(page) for name, page in found.items()}


def place_of(setting: Setting, report: Report) -> str:
    """Where everything of a setting stands: on its task's page, or on one of its own where the task
    has several settings."""
    if len(report.of_task(setting.task)) > 1:
        return f"{setting.slug}.html"
    return f"{page_of(setting.task)}#{setting.slug}"


def _maps(section: Section) -> Iterator[Drawing]:
    for exhibit in section.exhibits:
        yield from (one.drawing for one in (*exhibit.free, *exhibit.forced))


def _environment(report: Report) -> Environment:
    made = environment()
    made.filters["place"] = lambda setting: place_of(setting, report)
    made.filters["command"] = lambda one: command(one, report.collection.address)
    made.globals["report"] = report
    return made


def environment() -> Environment:
    """Templates with style, script and content policy; what comes in is escaped."""
    made = Environment(
        loader=PackageLoader("reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = (_PACKAGE / "assets" / "site.js").read_text(encoding="utf-8")
    style = css_variables() + (_PACKAGE / "assets" / "site.css").read_text(encoding="utf-8")
    made.filters |= {
        "svg": inline,
        "metric": formats.metric_name,
        "page": page_of,
        "plural": formats.plural,
        "slug": slug,
        "code": _with_code,
        "breakable": _breakable,
    }
    made.tests |= {
        "number": lambda entry: isinstance(entry, Number),
        "missing": lambda entry: isinstance(entry, Missing),
        "label": lambda entry: isinstance(entry, Label),
    }
    made.globals |= _globals(style, script)
    return made


def _with_code(text: str) -> Markup:
    """Text with what stands between backticks as code; everything else of it is escaped."""
    return Markup(re.sub(r"`([^`<>]+)`", r"<code>\1</code>", str(escape(text))))


def _breakable(text: str) -> Markup:
    """Text that may break after a slash: `translation/probe` in a narrow column."""
    return Markup(escape(text).replace("/", Markup("/<wbr>")))


def _globals(style: str, script: str) -> dict[str, Any]:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return {
        "style": Markup(style),
        "script": Markup(script),
        "policy": (
            f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
            "img-src data:; base-uri 'none'; form-action 'none'"
        ),
    }
