"""Results of a store as records of other projects' formats, one file a format.

A format's module has `NAME`, `files(evaluations, about)`, which yields paths below the folder with
their contents, and `next_step(out)`, one line on what to do with them. Records hold figures and
what they were measured with and on: no sentence, picture or sound of a data set, and no output.
"""

from __future__ import annotations

#: Modules of the formats by the name that `attnbench export --to` takes.
FORMATS = {
    "every-eval-ever": "reports.exchange.every_eval_ever",
    "huggingface": "reports.exchange.huggingface",
}
