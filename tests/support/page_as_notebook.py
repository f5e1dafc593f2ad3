"""A page of docs as a notebook that has been run: its texts and its Python blocks, with what these
give. `make notebook` makes docs/notebooks/first.ipynb of docs/notebook.md.

    python tests/support/page_as_notebook.py PAGE NOTEBOOK
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path

import nbformat
from doc_blocks import blocks
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

#: Where the part of a page that runs ends.
REFERENCE = "\n## The frames\n"


def cells_of(text: str) -> list[nbformat.NotebookNode]:
    """Cells of a page, up to its reference: texts, their links as from a folder below, and code."""
    shown = re.sub(r"\]\((?![a-z]+:)", "](../", text.partition(REFERENCE)[0])
    cells = []
    for block in blocks(shown):
        before, _, shown = shown.partition(f"```{block.language}\n{block.body}```\n")
        cells += [new_markdown_cell(before.strip())] if before.strip() else []
        cells.append(new_code_cell(block.body.strip()))
    return cells


def executed(text: str, root: Path) -> nbformat.NotebookNode:
    """Run the cells in a folder that is gone afterwards; keep what they give, not what they say of
    their progress, nor ids and times, so that the same results make the same file."""
    notebook = new_notebook(cells=cells_of(text))
    os.environ["PYTHONPATH"] = str(root)
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        NotebookClient(notebook, timeout=1200, resources=resources).execute()
    for place, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{place}"
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = [one for one in cell.outputs if one.output_type == "execute_result"]
    notebook.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    return notebook


if __name__ == "__main__":
    page, target = map(Path, sys.argv[1:])
    made = executed(page.read_text("utf-8"), Path(__file__).resolve().parents[2])
    target.write_text(nbformat.writes(made) + "\n", "utf-8")
