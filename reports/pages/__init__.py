"""Pages: self-contained HTML that opens from the file system, without any network.

Style and script stand in every page; a content policy lets nothing else run or load. A script in
somebody's sentence therefore stays a text even if an escape were forgotten. Only the attention
explorers load more: their script, and the data of the examples that are looked at.
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
#: File name of the attention explorer's script, one for the whole site.
EXPLORER = "explorer.js"


def asset(name: str) -> str:
    """Read one of the files in `assets`."""
    return (_ASSETS / name).read_text(encoding="utf-8")


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
    script = asset("site.js")
    style = css_variables() + asset("site.css")
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
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    # Scripts of the same site, which may be a folder (some browsers call that no site); and sounds
    # that the explorer puts together.
    files = f"script-src 'self' file: 'sha256-{digest}'; media-src blob:"
    made.globals |= {
        "style": Markup(style),
        "script": Markup(script),
        "policy": policy,
        "explorer_policy": policy.replace(f"script-src 'sha256-{digest}'", files),
        "explorer_style": Markup(asset("explorer.css")),
        "EXPLORER": EXPLORER,
    }
    return made


def _with_code(text: str) -> Markup:
    """Escaped text in which whatever stands between backticks becomes a `code` element."""
    return Markup(re.sub(r"`([^`<>]+)`", r"<code>\1</code>", str(escape(text))))


def _breakable(text: str) -> Markup:
    """Escaped text that may break after a slash: `translation/synthetic` in a narrow column."""
    return Markup(escape(text).replace("/", Markup("/<wbr>")))
