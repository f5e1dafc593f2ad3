"""Writing a report: pages, report.md, tables and figures, into one folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from reports import pdf, svg
from reports.csv_tables import csv_text
from reports.drawing import Drawing, tiled
from reports.folders import write_files
from reports.gallery import Exhibit
from reports.latex import latex_text
from reports.markdown_report import report_text
from reports.parquet import parquet_bytes
from reports.pdf_fonts import fonts_for
from reports.replication_tables import summary_table, tables_of
from reports.report import Report, Section
from reports.site import pages
from reports.tables import Table


def write(report: Report, out: Path) -> list[Path]:
    """Write everything; returns the files. Files of an earlier report are replaced.

    Raises UsageError where the folder cannot be written.
    """
    return write_files(out, _files(report), "report")


def _files(report: Report) -> Iterator[tuple[str, str | bytes]]:
    yield from pages(report).items()
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


def _drawings(report: Report) -> Iterator[tuple[str, Drawing]]:
    if report.ranks:
        yield report.ranks.name, report.ranks.drawing()
    for section in report.sections:
        for figure in section.figures:
            yield figure.name, figure.drawing()
        yield from _exhibit_drawings(section)


def _exhibit_drawings(section: Section) -> Iterator[tuple[str, Drawing]]:
    for place, exhibit in enumerate(section.exhibits, start=1):
        for mode in ("free", "forced"):
            maps = _named_maps(exhibit, mode)
            if maps:
                name = f"{section.setting.slug}-attention-{place}-{mode}"
                yield name, tiled(maps, 3, title=exhibit.title, gap=28)


def _named_maps(exhibit: Exhibit, mode: str) -> list[Drawing]:
    maps = exhibit.free if mode == "free" else exhibit.forced
    return [one.named() for one in maps]
