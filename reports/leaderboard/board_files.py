"""Writing the board: a page, board.md and tables as CSV."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from reports.csv_tables import csv_text
from reports.folders import write_files
from reports.leaderboard.board import Board, ClassBoard
from reports.leaderboard.board_tables import setting_table
from reports.leaderboard.track_table import track_table
from reports.markdown import escaped, markdown_text
from reports.site import environment
from reports.tables import Column, Label, Row, Table

#: Reasons against a bundle that the page shows.
REASONS = 20


@dataclass(frozen=True)
class Part:
    """One class of the board as tables."""

    title: str
    kind: str
    tracks: tuple[Table, ...]
    settings: tuple[Table, ...]

    @property
    def tables(self) -> tuple[Table, ...]:
        return (*self.tracks, *self.settings)


def parts(board: Board) -> list[Part]:
    """The tables of every class."""
    return [_part(one, board) for one in board.classes]


def _part(one: ClassBoard, board: Board) -> Part:
    tracks = [track_table(one, track) for track in board.rules.tracks]
    return Part(
        title=one.title,
        kind=one.kind,
        tracks=tuple(table for table in tracks if table is not None),
        settings=tuple(setting_table(standing, one.kind) for standing in one.standings),
    )


def bundles_table(board: Board) -> Table:
    """What was verified."""
    return Table(
        name="bundles",
        title="Verified bundles",
        corner="bundle",
        columns=(
            Column("id", "id", "SHA-256 of its manifest", text=True),
            Column("class", "class", text=True),
            Column("trials", "trials", text=True),
            Column("stated", "taken as stated", text=True),
        ),
        rows=tuple(
            Row(
                one.bundle.manifest.name,
                (
                    Label(one.bundle.id[:12]),
                    Label(one.bundle.manifest.kind),
                    Label(str(len(one.results))),
                    Label(", ".join(one.stated)),
                ),
                detail="; ".join(one.notes),
            )
            for one in board.verdicts
        ),
    )


def write(board: Board, out: Path) -> list[Path]:
    """Write everything; returns the files. Raises UsageError where the folder cannot be written."""
    found, bundles = parts(board), bundles_table(board)
    page = environment().get_template("board.html.j2")
    files: dict[str, str | bytes] = {
        "index.html": page.render(board=board, parts=found, bundles=bundles, reasons=REASONS),
        "board.md": board_text(board, found, bundles),
    }
    for table in (*(table for part in found for table in part.tables), bundles):
        files[f"tables/{table.name}.csv"] = csv_text(table)
    return write_files(out, files.items(), "board")


def board_text(board: Board, found: list[Part], bundles: Table) -> str:
    """The board as Markdown."""
    blocks = [
        "# Leaderboard\n",
        f"Rules {escaped(board.rules.version)}: {escaped(board.rules.description)}\n",
        f"Reference: {escaped(reference_text(board))}\n",
    ]
    for part in found:
        blocks.append(f"## {escaped(part.title)}\n")
        blocks += [f"### {escaped(one.title)}\n\n{markdown_text(one)}" for one in part.tables]
    blocks.append(f"## {escaped(bundles.title)}\n\n{markdown_text(bundles)}")
    if board.refused:
        blocks.append("## Not on the board\n")
        for one in board.refused:
            blocks += [f"- {escaped(one.name)}: {escaped(text)}" for text in one.reasons[:REASONS]]
    return "\n".join(blocks) + "\n"


def reference_text(board: Board) -> str:
    """What scores are measured by."""
    if board.reference is None:
        return "none yet, so there are figures and groups, and no scores"
    return f"version {board.reference.version}, made with {board.reference.made_with}"
