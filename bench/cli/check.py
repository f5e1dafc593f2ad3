"""`attnbench check package.module:Class`: conformance of a mechanism of your own."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import UsageError
from bench.registry import fault_of_class

if TYPE_CHECKING:
    from bench.attention.base import Attention
    from bench.attention.conformance import Finding

REMEDY = "name a class as package.module:Class; the current folder is searched too"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "mechanism",
        metavar="package.module:Class",
        help="a subclass of bench.attention.base.Attention",
    )
    parser.add_argument(
        "--score", metavar="SCORE", help="score to check it with (default: its own)"
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(args: argparse.Namespace) -> int:
    """Check and print; 0 where all is well, 1 where a check failed.

    Raises:
        UsageError: something that cannot be imported, is no mechanism, or a score it refuses.
    """
    kind = load_mechanism(args.mechanism)
    from bench.attention.conformance import check_mechanism

    findings = check_mechanism(kind, args.score)
    listed = [asdict(finding) for finding in findings]
    print(json.dumps(listed, indent=2) if args.json else _as_text(findings))  # noqa: T201
    return 0 if all(finding.passed for finding in findings) else 1


def load_mechanism(target: str) -> type[Attention]:
    """Import the class named `package.module:Class`. Raises UsageError."""
    from bench.attention.base import Attention

    module_name, _, class_name = target.partition(":")
    if not module_name or not class_name.isidentifier():
        raise UsageError(
            f"expected package.module:Class, got '{target}'", where="check", remedy=REMEDY
        )
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        # Whatever their module raises is theirs to repair; --debug shows where it came from.
        reason = f"{type(error).__name__}: {error}"
        missing = isinstance(error, ModuleNotFoundError) and error.name == module_name
        raise UsageError(
            f"cannot import {module_name} ({reason})",
            where="check",
            remedy=REMEDY if missing else "--debug shows where",
        ) from error
    kind: type[Attention] | None = getattr(module, class_name, None)
    if kind is None:
        raise UsageError(f"{module_name} has no '{class_name}'", where="check", remedy=REMEDY)
    fault = fault_of_class(kind, Attention)
    if fault is not None:
        raise UsageError(f"{target} is no mechanism", where="check", remedy=fault)
    return kind


def _as_text(findings: list[Finding]) -> str:
    width = max(len(finding.name) for finding in findings)
    lines, before = [], None
    for finding in findings:
        word = "ok" if finding.passed else "FAILED"
        # What cannot be called at all fails every check in the same way.
        message = "the same" if finding.message == before else finding.message
        before = None if finding.passed else finding.message
        lines.append(f"{word:<6}  {finding.name:<{width}}  {message}")
    return "\n".join(lines)
