"""docs/notebook.md is true: its lines run, and the notebook that is kept has these lines."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SUPPORT = ROOT / "tests/support"
if str(SUPPORT) not in sys.path:
    sys.path.insert(0, str(SUPPORT))

from doc_blocks import blocks  # noqa: E402 - found by the line above

PAGE = (ROOT / "docs/notebook.md").read_text("utf-8")
CODE = [block.body for block in blocks(PAGE) if block.language == "python"]

#: Said at the end of the page's lines, in the names that these have made.
CHECKS = """
assert result.status == "done" and summary.exit_status == 0, summary
assert len(trials) == 7 and set(trials["study"].dropna()) == {"scores"}
assert set(trials["score"]) == {"concat", "none", "dot", "general"}
assert set(curves["hash"]) == set(trials["hash"])
assert run("translation", "soft", "concat", budget="smoke", store="runs/first") == result
verdict = compare("runs/first", "runs/second").frame
assert list(verdict["verdict"]) == ["identical"], verdict
assert (verdict["before"] == result.primary.value).all() and verdict["seeds"].tolist() == [1]
print("all well")
"""


@pytest.mark.timeout(1200)
def test_the_lines_of_the_page_run(tmp_path: Path) -> None:
    assert len(CODE) >= 6
    # In a process of its own, as for whoever copies them; a last expression is shown by notebooks.
    script = tmp_path / "page.py"
    script.write_text("\n".join([*CODE, CHECKS]), "utf-8")
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "WANDB_MODE": "disabled",
        "OMP_NUM_THREADS": "1",
        "RAY_worker_niceness": "0",  # Ray's 15 starves its workers beside other tests
    }
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.endswith("all well\n")


def test_the_notebook_has_the_lines_of_the_page_and_what_they_gave() -> None:
    nbformat = pytest.importorskip("nbformat")
    from page_as_notebook import cells_of

    notebook = nbformat.read(ROOT / "docs/notebooks/first.ipynb", as_version=4)
    nbformat.validate(notebook)
    expected = [(cell.cell_type, cell.source) for cell in cells_of(PAGE)]
    found = [(cell.cell_type, cell.source) for cell in notebook.cells]
    assert found == expected, "make notebook"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert all(cell.outputs for cell in code)
