"""Tables as LaTeX with booktabs rules, ready to paste."""

from __future__ import annotations

from reports.tables import Entry, Label, Missing, Number, Table

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "\N{MINUS SIGN}": "$-$",
    "“": "``",
    "”": "''",
    "…": r"\ldots{}",
}


def latex_text(table: Table) -> str:
    """A `table` environment with booktabs rules; `\\usepackage{booktabs}` is all it needs.

    Group 1 is bold, intervals are small, notes stand below.
    """
    width = len(table.columns)
    spec = "l" + "r" * width
    lines = [
        r"% \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_latex(table.title)}}}",
        rf"\label{{tab:{table.name}}}",
        rf"\begin{{tabular}}{{{spec}}}",
        r"\toprule",
        *_latex_heads(table),
        r"\midrule",
    ]
    for row in table.rows:
        if row.spanning:
            cells = [
                rf"\multicolumn{{{width}}}{{c}}{{{_latex_entry(row.spanning, tells=table.tells)}}}"
            ]
        else:
            cells = [_latex_entry(entry, tells=table.tells) for entry in row.entries]
        lines.append(" & ".join([_latex(row.label), *cells]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    entries = [entry for row in table.rows for entry in (*row.entries, row.spanning) if entry]
    reasons = [one.text for one in entries if isinstance(one, Missing) and one.reason]
    sentences = [f"{reason[:1].upper()}{reason[1:]}." for reason in dict.fromkeys(reasons)]
    notes = [*table.notes, *sentences]
    if any(isinstance(one, Number) and one.group == 1 for one in entries):
        notes.append("Bold: the best and what cannot be told apart from it.")
    if notes:
        lines.append(rf"\par\smallskip{{\footnotesize {' '.join(map(_latex, notes))}\par}}")
    lines.append(r"\end{table}")
    return "\n".join(lines) + "\n"


def _latex_heads(table: Table) -> list[str]:
    heads = [" & ".join([_latex(table.corner), *(_latex(c.label) for c in table.columns)]) + r" \\"]
    if not table.grouped:
        return heads
    cells, rules, start = [""], [], 2
    for name, span in table.groups:
        cells.append(rf"\multicolumn{{{span}}}{{c}}{{{_latex(name)}}}")
        if name:
            rules.append(rf"\cmidrule(lr){{{start}-{start + span - 1}}}")
        start += span
    return [" & ".join(cells) + r" \\", "".join(rules), *heads]


def _latex_entry(entry: Entry, *, tells: bool) -> str:
    match entry:
        case Number():
            text = _latex(entry.text)
            text = rf"\textbf{{{text}}}" if entry.group == 1 else text
            told = [entry.interval, entry.note if tells else ""]
            small = " ".join(_latex(part) for part in told if part)
            return rf"{text} {{\scriptsize {small}}}" if small else text
        case Missing():
            short = "n/a" if entry.kind == "not applicable" else entry.kind
            return rf"\textit{{{short}}}"
        case Label():
            return _latex(entry.text)


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in " ".join(text.split()))
