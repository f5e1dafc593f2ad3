"""Lets tests import `tests/support`, which processes of their own import as well."""

from __future__ import annotations

import sys
from pathlib import Path

SUPPORT = str(Path(__file__).parent.parent / "support")
if SUPPORT not in sys.path:
    sys.path.insert(0, SUPPORT)
