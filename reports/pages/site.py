"""The files of a report: HTML pages, report.md, tables and figures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from reports.figures import Figure
from reports.figures.static import Format, converted
from reports.formats import clean
from reports.latex import latex_text
from reports.load import BenchmarkSetting
from reports.output_folder import write_files
from reports.pages import (
    EXPLORER,
    FIGURES,
    STYLE,
    TABLES,
    asset,
    figures_script,
    style_sheet,
    template_environment,
)
from reports.pages.replication import command, summary_table, tables_of
from reports.pages.report import Report, Section
from reports.tables import Table, task_page_name
from reports.tables.facts import facts
from reports.writers import csv_text, escape_markdown, markdown_text

#: File name of the page that links tables and figures as files.
FILES = "files.html"
#: File name of the page on papers.
REPLICATION = "replication.html"
#: File name of the page on comparisons.
COMPARISONS = "comparisons.html"
#: File name of the page on the search for hyperparameters.
TUNING = "tuning.html"


def pages(report: Report, formats: tuple[Format, ...] = ()) -> dict[str, str]:
    """Render HTML by file name: the overview, a page per task and mechanism, the attention
    explorers, a page on the papers, one on the search for hyperparameters where there was one, and
    one that lists the files.
    A task with several settings has a page for each of them, so that pages stay small."""
    environment = template_environment()
    environment.filters["place"] = lambda setting: setting_href(setting, report)
    environment.filters["command"] = lambda one: command(one, report.collection.address)
    environment.globals |= {"report": report, "formats": formats}
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
    if report.comparisons:
        template = environment.get_template("comparisons.html.j2")
        found[COMPARISONS] = template.render(here=COMPARISONS)
    if report.tuning:
        found[TUNING] = environment.get_template("tuning.html.j2").render(here=TUNING)
    # A page, since static hosts do not list folders.
    found[FILES] = environment.get_template("files.html.j2").render(
        tables=list(_tables(report)), figures=list(_figures(report)), here=FILES
    )
    return {name: clean(page) for name, page in found.items()}


def setting_href(setting: BenchmarkSetting, report: Report) -> str:
    """Return the link to a setting: an anchor on its task's page, or a page of its own where the
    task has several settings."""
    if len(report.of_task(setting.task)) > 1:
        return f"{setting.slug}.html"
    return f"{task_page_name(setting.task)}#{setting.slug}"


def report_text(report: Report, formats: tuple[Format, ...] = ()) -> str:
    """Format the findings and tables of the whole report as Markdown; figures are shown where they
    are written as SVG or PNG, else their values are linked."""
    return "\n".join(_lines(report, formats)).rstrip() + "\n"


def _figure(figure: Figure, formats: tuple[Format, ...]) -> str:
    title = escape_markdown(figure.title)
    shown = next((one for one in formats if one in ("svg", "png")), None)
    if shown:
        return f"![{title}](figures/{figure.name}.{shown})\n"
    return f"[{title}: values](figures/{figure.name}.csv)\n"


def _lines(report: Report, formats: tuple[Format, ...]) -> Iterator[str]:
    yield "# Which attention, with which score function, for which task?\n"
    for problem in report.collection.problems:
        yield f"> Could not be used: {escape_markdown(problem)}\n"
    if report.collection.data_note:
        yield f"> {escape_markdown(report.collection.data_note)}\n"
    yield f"{escape_markdown(report.answer)}\n"
    yield "## Attention by task\n"
    yield markdown_text(report.overview)
    if report.ranks:
        yield _figure(report.ranks, formats)
        yield f"{escape_markdown(report.ranks.caption)}\n"
    for table in report.comparisons.over_tasks if report.comparisons else ():
        yield f"## {escape_markdown(table.title)}\n\n{markdown_text(table)}"
    for section in report.sections:
        yield from _markdown_section(section, formats)
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
            yield _figure(figure, formats)
    yield "## What was run\n"
    yield from (
        f"- {escape_markdown(fact.label)}: {escape_markdown(fact.text)}"
        for fact in facts(report.collection)
    )


def _markdown_section(section: Section, formats: tuple[Format, ...]) -> Iterator[str]:
    setting = section.setting
    yield f"## {escape_markdown(setting.task.capitalize())}: {escape_markdown(setting.label)}\n"
    if section.analysis.frame.shared:
        yield f"{escape_markdown(section.analysis.frame.shared)}\n"
    yield from (f"- {escape_markdown(sentence)}" for sentence in section.findings)
    yield ""
    for table in section.tables:
        yield f"### {escape_markdown(table.title)}\n\n{markdown_text(table)}"
    for figure in section.figures:
        yield _figure(figure, formats)
    signatures = [f"{fact.label}: {fact.text}" for fact in section.signatures]
    for lines in (signatures, section.notes):
        if lines:
            yield "\n".join(f"- {escape_markdown(line)}" for line in lines)
            yield ""


def write_report(report: Report, out: Path, formats: tuple[Format, ...] = ()) -> list[Path]:
    """Write pages, report.md, tables and the values of figures; return the files. Files of an
    earlier report are replaced.

    Args:
        formats: those that figures are written in besides.

    Raises UsageError where the folder cannot be written.
    """
    return write_files(out, report_files(report, formats), "report")


def report_files(report: Report, formats: tuple[Format, ...]) -> Iterator[tuple[str, str | bytes]]:
    """Yield the files of a report: path below its folder, and content."""
    yield from pages(report, formats).items()
    yield STYLE, style_sheet()
    figures = list(_figures(report))
    curves = (cell.curves for section in report.sections for cell in section.cells)
    yield FIGURES, figures_script([*figures, *(one for one in curves if one)])
    yield TABLES, asset(TABLES)
    if any(section.explorer.examples for section in report.sections):
        yield EXPLORER, asset(EXPLORER)
    for section in report.sections:
        yield from section.explorer.files.items()
    yield "report.md", report_text(report, formats)
    shared = {
        table.name: one.analysis.frame.shared for one in report.sections for table in one.tables
    }
    for table in _tables(report):
        yield f"tables/{table.name}.csv", csv_text(table)
        yield f"tables/{table.name}.tex", latex_text(table, shared.get(table.name, ""))
    yield "tables/results.csv", csv_text(report.results)
    yield "tables/results.parquet", report.results.to_parquet(index=False, compression="zstd")
    for figure in figures:
        yield f"figures/{figure.name}.csv", figure.frame.to_csv(index=False)
    if formats:
        for name, content in converted(figures, formats):
            yield f"figures/{name}", content


def _tables(report: Report) -> Iterator[Table]:
    yield report.overview
    if report.failures:
        yield report.failures
    if report.comparisons:
        yield from report.comparisons.tables
    for section in report.sections:
        yield from section.tables
    if report.replications:
        yield summary_table(report.replications, report.collection.address)
    for replication in report.replications:
        for _, rows, pairs in tables_of(replication):
            yield from (rows, pairs)
    for searched in report.tuning:
        yield from (searched.mechanisms, searched.candidates)


def _figures(report: Report) -> Iterator[Figure]:
    if report.ranks:
        yield report.ranks
    for searched in report.tuning:
        yield from searched.figures
    for section in report.sections:
        yield from section.figures
