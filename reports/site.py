"""The site: self-contained pages that open from the file system, without any network.

Style and script stand in every page; a content policy lets nothing else run or load, so that a
script in somebody's sentence stays a text even if an escape were forgotten.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from reports import formats
from reports.overview import facts, page_of
from reports.report import Report
from reports.svg import clean, inline
from reports.tables import Label, Missing, Number
from reports.theme import css_variables

_PACKAGE = Path(__file__).parent


def pages(report: Report) -> dict[str, str]:
    """HTML by file name: the overview, and one page per task."""
    environment = _environment(report)
    index = environment.get_template("index.html.j2")
    found = {"index.html": index.render(facts=facts(report.collection), here="index.html")}
    task_page = environment.get_template("task.html.j2")
    for task in report.collection.tasks:
        found[page_of(task)] = task_page.render(
            task=report.catalogue.task(task),
            sections=report.of_task(task),
            here=page_of(task),
        )
    return {name: clean(page) for name, page in found.items()}


def _environment(report: Report) -> Environment:
    environment = Environment(
        loader=PackageLoader("reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = (_PACKAGE / "assets" / "site.js").read_text(encoding="utf-8")
    style = css_variables() + (_PACKAGE / "assets" / "site.css").read_text(encoding="utf-8")
    environment.filters |= {
        "svg": inline,
        "metric": formats.metric_name,
        "page": page_of,
        "plural": formats.plural,
    }
    environment.tests |= {
        "number": lambda entry: isinstance(entry, Number),
        "missing": lambda entry: isinstance(entry, Missing),
        "label": lambda entry: isinstance(entry, Label),
    }
    environment.globals |= _globals(report, style, script)
    return environment


def _globals(report: Report, style: str, script: str) -> dict[str, Any]:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return {
        "report": report,
        "style": Markup(style),
        "script": Markup(script),
        "policy": (
            f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
            "img-src data:; base-uri 'none'; form-action 'none'"
        ),
    }
