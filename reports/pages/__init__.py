"""Pages: HTML that opens from the file system, without any network.

`site.css` is the style of all pages. A short script stands in every page; a content policy lets
nothing run but that script and the files of the site that it loads itself. A script in somebody's
sentence therefore stays a text even if an escape were forgotten. `figures.js` draws the figures,
whose data stand in the pages; `explorer.js` draws attention, of examples whose data it loads when
they are looked at.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from reports import formats
from reports.figures import Figure
from reports.figures.chart_parts import CONTEXT, ROWS, Layout, columns
from reports.figures.static import bundle
from reports.figures.theme import CHART_ROLES, PALETTE, config, css_variables, with_variables
from reports.load import slug
from reports.tables import Label, Missing, Number, task_page_name

#: File name of the style, one for a whole site.
STYLE = "site.css"
#: File name of the script that draws figures, one for a whole site.
FIGURES = "figures.js"
#: File name of the script that lets tables be sorted, filtered, searched, narrowed and copied.
TABLES = "tables.js"
#: File name of the attention explorer's script.
EXPLORER = "explorer.js"

_ASSETS = Path(__file__).parent / "assets"


def asset(name: str) -> str:
    """Read one of the files in `assets`."""
    return (_ASSETS / name).read_text(encoding="utf-8")


def template_environment() -> Environment:
    """The Jinja environment of all pages: templates, filters, script and content policy.

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
    made.filters |= {
        "layout_name": layout_name,
        "figure": _figure,
        "rows": _data,
        "metric": formats.metric_name,
        "page": task_page_name,
        "json": partial(json.dumps, ensure_ascii=False),
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
        "stylesheet": STYLE,
        "script": Markup(script),
        # The script of pages alone runs, and what it loads; the explorer plays sounds that it has
        # put together.
        "policy": (
            f"default-src 'none'; style-src 'self' file: 'unsafe-inline'; "
            f"script-src 'sha256-{digest}' 'strict-dynamic'; "
            "img-src data:; media-src blob:; base-uri 'none'; form-action 'none'"
        ),
        "explorer_style": Markup(asset("explorer.css")),
    }
    return made


def style_sheet() -> str:
    """The style of all pages, one file for a whole site: colours of both themes, and rules."""
    return css_variables() + asset(STYLE)


def figures_script(figures: Iterable[Figure]) -> str:
    """The script that draws figures, one file for a whole site: the library, the look of charts,
    the charts without their data, and what puts them into pages."""
    layouts = {layout_name(one.layout): one.layout for one in figures}
    drawn = {
        "look": {**config(), "background": "transparent"},
        "layouts": {
            name: {part: told for part, told in one.items() if part not in ("config", "$schema")}
            for name, one in layouts.items()
        },
    }
    light = {role: PALETTE[role].light for role in CHART_ROLES}
    told = f"{{...{with_variables(_json(drawn))}, light: {json.dumps(light)}}}"
    return "\n".join([bundle(), f"window.attnbenchFigures = {told};", asset(FIGURES)])


def layout_name(layout: Layout) -> str:
    """What pages call a layout; those that are alike have one name."""
    return hashlib.sha256(_json(layout).encode()).hexdigest()[:12]


def _figure(value: float | None) -> str | None:
    """A figure as scripts read it: whole numbers as they are, others to seven digits."""
    if value is None:
        return None
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.7g}"


def _data(one: Figure) -> Markup:
    """The data of a figure, for a script element, which nothing in it can end."""
    found = {ROWS: columns(one.frame)}
    if one.context is not None:
        found[CONTEXT] = columns(one.context)
    return Markup(_json(found).replace("<", "\\u003c"))


def _json(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def _with_code(text: str) -> Markup:
    """Escaped text in which whatever stands between backticks becomes a `code` element."""
    return Markup(re.sub(r"`([^`<>]+)`", r"<code>\1</code>", str(escape(text))))


def _breakable(text: str) -> Markup:
    """Escaped text that may break after a slash: `translation/synthetic` in a narrow column."""
    return Markup(escape(text).replace("/", Markup("/<wbr>")))
