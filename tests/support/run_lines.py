"""Runs `attnbench` with one list of arguments after the other in one process, which is how a shell
would if imports cost nothing. Reads a JSON list of lists; writes status and output of each."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time

from bench.cli.main import main

if __name__ == "__main__":
    report = []
    for arguments in json.load(sys.stdin):
        said, begun = io.StringIO(), time.perf_counter()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            status = main(arguments)
        seconds = round(time.perf_counter() - begun, 2)
        report.append(
            {"arguments": arguments, "status": status, "said": said.getvalue(), "seconds": seconds}
        )
    json.dump(report, sys.stdout)
