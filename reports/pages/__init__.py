"""Pages: self-contained HTML that opens from the file system, without any network.

Style and script stand in every page; a content policy lets nothing else run or load. A script in
somebody's sentence therefore stays a text even if an escape were forgotten.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from reports import formats
from reports.figures import css_variables, svg
from reports.load import slug
from reports.tables import Label, Missing, Number, task_page_name

_ASSETS = Path(__file__).parent / "assets"


def template_environment() -> Environment:
    """The Jinja environment of all pages: templates, filters, style, script and content policy.

    Every value is escaped unless it is Markup.
    """
    made = Environment(
        loader=PackageLoader("reports.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = (_ASSETS / "site.js").read_text(encoding="utf-8")
    style = css_variables() + (_ASSETS / "site.css").read_text(encoding="utf-8")
    made.filters |= {
        "svg": svg.inline,
        "metric": formats.metric_name,
        "page": task_page_name,
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
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    made.globals |= {
        "style": Markup(style),
        "script": Markup(script),
        "policy": (
            f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
            "img-src data:; base-uri 'none'; form-action 'none'"
        ),
    }
    return made


def _with_code(text: str) -> Markup:
    """Escaped text in which whatever stands between backticks becomes a `code` element."""
    return Markup(re.sub(r"`([^`<>]+)`", r"<code>\1</code>", str(escape(text))))


def _breakable(text: str) -> Markup:
    """Escaped text that may break after a slash: `translation/synthetic` in a narrow column."""
    return Markup(escape(text).replace("/", Markup("/<wbr>")))
