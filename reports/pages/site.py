"""The files of a report: HTML pages, report.md, tables and figures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from reports.figures import Drawing, pdf, svg
from reports.figures.pdf import fonts_for
from reports.figures.svg import clean
from reports.load import BenchmarkSetting
from reports.pages import EXPLORER, asset, template_environment
from reports.pages.replication import command, summary_table, tables_of
from reports.pages.report import Report, Section
from reports.tables import Table, task_page_name
from reports.tables.overview import facts
from reports.writers import (
    csv_text,
    escape_markdown,
    latex_text,
    markdown_text,
    parquet_bytes,
    write_files,
)

#: File name of the page on papers.
REPLICATION = "replication.html"
#: File name of the page on the search for hyperparameters.
TUNING = "tuning.html"


def pages(report: Report) -> dict[str, str]:
    """Render HTML by file name: the overview, a page per task and mechanism, the attention
    explorers, a page on the papers, and one on the search for hyperparameters where there was one.
    A task with several settings has a page for each of them, so that pages stay small."""
    environment = template_environment()
    environment.filters["place"] = lambda setting: setting_href(setting, report)
    environment.filters["command"] = lambda one: command(one, report.collection.address)
    environment.globals["report"] = report
    index = environment.get_template("index.html.j2")
    found = {"index.html": index.render(facts=facts(report.collection), here="index.html")}
    task_template = environment.get_template("task.html.j2")
    setting_template = environment.get_template("setting.html.j2")
    for name in report.collection.tasks:
        sections, task = report.of_task(name), report.catalogue.task(name)
        here = task_page_name(name)
        found[here] = task_template.render(task=task, sections=sections, here=here)
        for section in sections if len(sections) > 1 else ():
            found[setting_href(section.setting, report)] = setting_template.render(
                task=task, section=section, here=here
            )
    looked = environment.get_template("explorer.html.j2")
    cell = environment.get_template("cell.html.j2")
    for section in report.sections:
        if section.explorer.examples:
            found[section.explorer.href] = looked.render(
                explorer=section.explorer, here=task_page_name(section.setting.task)
            )
        for one in section.cells:
            found[one.href] = cell.render(
                cell=one,
                main_metric=section.analysis.frame.main_metric,
                here=task_page_name(section.setting.task),
            )
    if report.replications:
        found[REPLICATION] = environment.get_template("replication.html.j2").render(
            summary=summary_table(report.replications, report.collection.address),
            replications=[(one, tables_of(one)) for one in report.replications],
            here=REPLICATION,
        )
    if report.tuning:
        found[TUNING] = environment.get_template("tuning.html.j2").render(here=TUNING)
    return {name: clean(page) for name, page in found.items()}


def setting_href(setting: BenchmarkSetting, report: Report) -> str:
    """Return the link to a setting: an anchor on its task's page, or a page of its own where the
    task has several settings."""
    if len(report.of_task(setting.task)) > 1:
        return f"{setting.slug}.html"
    return f"{task_page_name(setting.task)}#{setting.slug}"


def report_text(report: Report) -> str:
    """Format the findings and tables of the whole report as Markdown; figures are linked."""
    return "\n".join(_lines(report)).rstrip() + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield "# Which attention, with which score function, for which task?\n"
    for problem in report.collection.problems:
        yield f"> Could not be used: {escape_markdown(problem)}\n"
    if report.collection.data_note:
        yield f"> {escape_markdown(report.collection.data_note)}\n"
    yield "## Attention by task\n"
    yield markdown_text(report.overview)
    if report.ranks:
        yield f"![{escape_markdown(report.ranks.title)}](figures/{report.ranks.name}.svg)\n"
        yield f"{escape_markdown(report.ranks.caption)}\n"
    for section in report.sections:
        yield from _markdown_section(section)
    if report.replications:
        yield "## Did the papers' orderings hold?\n"
        yield markdown_text(summary_table(report.replications, report.collection.address))
    for replication in report.replications:
        for _, rows, _ in tables_of(replication):
            yield f"### {escape_markdown(rows.title)}\n\n{markdown_text(rows)}"
    for one in report.tuning:
        yield f"## Tuning: {escape_markdown(f'{one.setting.task}, {one.setting.label}')}\n"
        yield from (f"- {escape_markdown(sentence)}" for sentence in one.facts)
        yield ""
        yield markdown_text(one.mechanisms)
        for figure in one.figures:
            yield f"![{escape_markdown(figure.title)}](figures/{figure.name}.svg)\n"
    yield "## What was run\n"
    yield from (
        f"- {escape_markdown(fact.label)}: {escape_markdown(fact.text)}"
        for fact in facts(report.collection)
    )


def _markdown_section(section: Section) -> Iterator[str]:
    setting = section.setting
    yield f"## {escape_markdown(setting.task.capitalize())}: {escape_markdown(setting.label)}\n"
    yield from (f"- {escape_markdown(sentence)}" for sentence in section.findings)
    yield ""
    for table in section.tables:
        yield f"### {escape_markdown(table.title)}\n\n{markdown_text(table)}"
    for figure in section.figures:
        yield f"![{escape_markdown(figure.title)}](figures/{figure.name}.svg)\n"
    signatures = [f"{fact.label}: {fact.text}" for fact in section.signatures]
    for lines in (signatures, section.notes):
        if lines:
            yield "\n".join(f"- {escape_markdown(line)}" for line in lines)
            yield ""


def write_report(report: Report, out: Path) -> list[Path]:
    """Write pages, report.md, tables and figures; return the files. Files of an earlier report are
    replaced.

    Raises UsageError where the folder cannot be written.
    """
    return write_files(out, _files(report), "report")


def _files(report: Report) -> Iterator[tuple[str, str | bytes]]:
    yield from pages(report).items()
    if any(section.explorer.examples for section in report.sections):
        yield EXPLORER, asset(EXPLORER)
    for section in report.sections:
        yield from section.explorer.files.items()
    yield "report.md", report_text(report)
    for table in _tables(report):
        yield f"tables/{table.name}.csv", csv_text(table)
        yield f"tables/{table.name}.tex", latex_text(table)
    yield "tables/results.csv", csv_text(report.results)
    yield "tables/results.parquet", parquet_bytes(report.collection.results)
    drawings = dict(_drawings(report))
    # One set of glyphs for all files: making it takes longer than writing them.
    fonts = fonts_for(pdf.texts(drawings.values()))
    for name, drawing in drawings.items():
        yield f"figures/{name}.svg", svg.document(drawing)
        yield f"figures/{name}.pdf", pdf.document(drawing, fonts)


def _tables(report: Report) -> Iterator[Table]:
    yield report.overview
    if report.failures:
        yield report.failures
    for section in report.sections:
        yield from section.tables
    if report.replications:
        yield summary_table(report.replications, report.collection.address)
    for replication in report.replications:
        for _, rows, pairs in tables_of(replication):
            yield from (rows, pairs)
    for searched in report.tuning:
        yield from (searched.mechanisms, searched.candidates)


def _drawings(report: Report) -> Iterator[tuple[str, Drawing]]:
    if report.ranks:
        yield report.ranks.name, report.ranks.drawing()
    for searched in report.tuning:
        for figure in searched.figures:
            yield figure.name, figure.drawing()
    for section in report.sections:
        for figure in section.figures:
            yield figure.name, figure.drawing()
