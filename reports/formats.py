"""How numbers and metrics are written: decimals, units, intervals."""

from __future__ import annotations

import re
from collections.abc import Sequence

# BLEU, chrF and TER run to 100 as in sacrebleu; perplexities begin at 1.
_DECIMALS = {"bleu": 1, "chrf": 1, "ter": 1, "perplexity": 2, "ppl": 2, "ms": 1, "distinct": 0}
# Fractions that are written as percentages.
_FRACTIONS = {
    *("accuracy", "f1", "rouge", "per", "wer", "cer", "aer", "exact", "mass"),
    *("coverage", "monotonicity", "novelty", "copy", "substitutions", "insertions", "deletions"),
    "repeated",
}
_CAPITALS = ("bleu", "rouge", "meteor", "per", "wer", "cer", "aer", "f1", "l")
_NAMES = {"chrf": "chrF", "cider": "CIDEr"} | {name: name.upper() for name in _CAPITALS}
# What XML 1.0 does not allow, even escaped.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB")
_DECIMAL = (("G", 1e9), ("M", 1e6), ("k", 1e3))


def decimals(metric: str) -> int:
    """Return the number of decimals that a metric is shown with; fractions take 3."""
    words = re.split(r"[^a-z]+", metric.lower())
    return next((_DECIMALS[word] for word in words if word in _DECIMALS), 3)


def is_fraction(metric: str) -> bool:
    """Whether a metric is a fraction, which is written as a percentage."""
    return not _FRACTIONS.isdisjoint(re.split(r"[^a-z0-9]+", metric.lower()))


def metric_text(value: float, metric: str) -> str:
    """Format a value of a metric: `77.3 %`, `34.2`, `0.841`."""
    return percent(value) if is_fraction(metric) else number(value, decimals(metric))


def percent(value: float) -> str:
    """Format a fraction as a percentage with a no-break space: `77.3 %`."""
    return f"{number(100 * value, 1)}\N{NO-BREAK SPACE}%"


def points(value: float) -> str:
    """Format a difference of two fractions in percentage points: `+3.1 pp`."""
    return f"{signed(100 * value, 1)}\N{NO-BREAK SPACE}pp"


def metric_name(metric: str) -> str:
    """Spell a metric as papers do: `rouge_l` becomes `ROUGE-L`, `macro_f1` `macro F1`."""
    words = re.split(r"[_\s-]+", metric)
    shown = " ".join(_NAMES.get(word.lower(), word) for word in words)
    return re.sub(r"\b(ROUGE|BLEU) (?=[L0-9])", r"\1-", shown)


def title(metric: str) -> str:
    """Spell a metric for the beginning of a title or a sentence."""
    name = metric_name(metric)
    return f"{name[:1].upper()}{name[1:]}"


def number(value: float, digits: int) -> str:
    """Format a number with a true minus sign and never as "-0.0"."""
    text = f"{value:,.{digits}f}"
    if float(text.replace(",", "")) == 0:
        text = text.removeprefix("-")
    return text.replace("-", "\N{MINUS SIGN}")


def probability(value: float) -> str:
    """Format a p value: `0.034`, or `< 0.001` for small ones."""
    return "< 0.001" if value < 0.0005 else number(value, 3)


def interval(low: float, high: float, digits: int) -> str:
    """Format an interval: `[40.1, 42.3]`."""
    return f"[{number(low, digits)}, {number(high, digits)}]"


def signed(value: float, digits: int) -> str:
    """Format a number with its sign: `+1.2`."""
    text = number(value, digits)
    return f"+{text}" if value > 0 and text.strip("0.,") else text


def count(value: float) -> str:
    """Format a count briefly: 12, 4.3k, 1.20M."""
    for suffix, size in _DECIMAL:
        if abs(value) >= size:
            scaled = value / size
            return f"{scaled:.{2 if scaled < 10 else 1 if scaled < 100 else 0}f}{suffix}"
    return f"{value:.0f}" if value == int(value) or abs(value) >= 100 else f"{value:.3g}"


def seconds(value: float) -> str:
    """Format a duration: 12.3 s, 4 min 05 s, 2 h 10 min."""
    if value < 90:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(value / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def size(value: float) -> str:
    """Format bytes in binary units: 512 B, 1.5 GiB."""
    power = 0
    while value >= 1024 and power < len(_BINARY) - 1:
        value, power = value / 1024, power + 1
    return f"{value:.{0 if value >= 100 or power == 0 else 1}f} {_BINARY[power]}"


def plural(number: int, noun: str, nouns: str = "") -> str:
    """Format a count with its noun: `1 seed`, `3 seeds`."""
    return f"{number} {noun if number == 1 else nouns or noun + 's'}"


def listed(names: Sequence[str]) -> str:
    """Join names as a sentence does: `a`, `a and b`, `a, b and c`."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def some(names: Sequence[str], most: int) -> str:
    """Join the first of some names, and count the rest: `a, b and 3 more`."""
    more = [f"{len(names) - most} more"] if len(names) > most else []
    return listed([*names[:most], *more])


def yes_or_no(known: bool | None, unknown: str = "") -> str:
    """Format a truth value, or the text for one that is not known."""
    return unknown if known is None else "yes" if known else "no"


def clean(text: str) -> str:
    """Return the text without characters that no XML or HTML document may hold."""
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
