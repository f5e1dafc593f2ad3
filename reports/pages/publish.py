"""A report as a folder that static hosts serve as it is: GitHub Pages (`.nojekyll`, relative links
alone), and a static Space of the Hugging Face Hub (`README.md`, whose front matter says so).

The folder may be a clone of the repository that is served. What an earlier report wrote is
replaced, what it has no more is removed, and nothing else is touched (`reports.output_folder`); a
`README.md` that is the user's, or was changed by them, stays.
"""

from __future__ import annotations

import shlex
from pathlib import Path

import yaml

from reports.figures.static import Format
from reports.formats import plural
from reports.output_folder import changed_since, refuse_others, write_files
from reports.pages.report import Report
from reports.pages.site import report_files
from reports.writers import escape_markdown

README = "README.md"
#: The hub shows at most 60 characters.
_SHORT = "Which attention, for which task, and at what cost?"


def write_published(report: Report, out: Path, formats: tuple[Format, ...] = ()) -> bool:
    """Write a report for static hosts.

    Args:
        report: built with `publish=True`.
        formats: those that figures are written in besides.

    Returns:
        Whether `README.md` is ours.

    Raises UsageError where the folder cannot be written, and, before anything is touched, where it
    has another file of the name of a page.
    """
    own = not changed_since(out, README, "report")
    files = {**dict(report_files(report, formats)), ".nojekyll": ""}
    refuse_others(out, files, "report")
    write_files(out, {**files, **({README: readme(report)} if own else {})}.items(), "report")
    return own


def readme(report: Report) -> str:
    """Return the page of a Space: front matter, and what the report is."""
    collection = report.collection
    front = {
        "title": f"Attention report: {collection.address}",
        "sdk": "static",
        "app_file": "index.html",
        "short_description": _SHORT,
        "tags": ["attention", *collection.tasks],
    }
    settings = [f"{one.setting.task}: {one.setting.label}" for one in report.sections]
    sharing = [note for one in report.sections for note in one.sharing.notes]
    lines = [
        "---",
        yaml.safe_dump(front, sort_keys=False, allow_unicode=True).rstrip(),
        "---",
        "",
        "# Which attention, with which score function, for which task?",
        "",
        escape_markdown(report.answer),
        "",
        f"A report of {plural(len(collection.results), 'trial')}, made by attention-bench: figures "
        "with their intervals, costs, and where each mechanism looked. Open `index.html`; "
        "`report.md` has it as a text, `tables/results.csv` every trial.",
        "",
        *(f"- {escape_markdown(text)}" for text in (*settings, *dict.fromkeys(sharing))),
    ]
    return "\n".join(lines) + "\n"


def next_steps(out: Path, *, own_readme: bool) -> tuple[str, ...]:
    """One line a host on what to do with the folder."""
    readme = "" if own_readme else f"; {README} there is yours and stays: it needs `sdk: static`"
    return (
        f"GitHub Pages: commit {out} as the folder docs, or the root, of a branch, push, and "
        "choose that once under Settings, Pages",
        "Hugging Face: create a Space of the SDK Static once, publish into a clone of it and push, "
        f"or `hf upload OWNER/SPACE {shlex.quote(str(out))} . --repo-type space`{readme}",
    )
