"""report.md: the report as one Markdown file."""

from __future__ import annotations

from collections.abc import Iterator

from reports.markdown import escaped, markdown_text
from reports.overview import facts
from reports.replication_tables import summary_table, tables_of
from reports.report import Report, Section


def report_text(report: Report) -> str:
    """Findings and tables of the whole report; figures are linked."""
    return "\n".join(_lines(report)).rstrip() + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield "# Which attention, with which score function, for which task?\n"
    for problem in report.collection.problems:
        yield f"> Could not be used: {escaped(problem)}\n"
    yield "## Attention by task\n"
    yield markdown_text(report.overview)
    if report.ranks:
        yield f"![{escaped(report.ranks.title)}](figures/{report.ranks.name}.svg)\n"
        yield f"{escaped(report.ranks.caption)}\n"
    for section in report.sections:
        yield from _section(section)
    if report.replications:
        yield "## Did the papers' orderings hold?\n"
        yield markdown_text(summary_table(report.replications, report.collection.address))
    for replication in report.replications:
        for _, rows, _pairs in tables_of(replication):
            yield f"### {escaped(rows.title)}\n"
            yield markdown_text(rows)
    yield "## What was run\n"
    yield from (
        f"- {escaped(fact.label)}: {escaped(fact.text)}" for fact in facts(report.collection)
    )


def _section(section: Section) -> Iterator[str]:
    setting = section.setting
    yield f"## {escaped(setting.task.capitalize())}: {escaped(setting.label)}\n"
    yield from (f"- {escaped(sentence)}" for sentence in section.findings)
    yield ""
    for table in section.tables:
        yield f"### {escaped(table.title)}\n"
        yield markdown_text(table)
    for figure in section.figures:
        yield f"![{escaped(figure.title)}](figures/{figure.name}.svg)\n"
    if section.signatures:
        yield "\n".join(
            f"- {escaped(fact.label)}: {escaped(fact.text)}" for fact in section.signatures
        )
        yield ""
    if section.notes:
        yield "\n".join(f"- {escaped(note)}" for note in section.notes)
        yield ""
